#include "cli/known_values.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "cli/nearest.h"
#include "cli/usage_error.h"

namespace lmdeploy::cli {
namespace {

// Values of one option. `built` work today; `planned` are known and refused. Where `any` is set every other
// value is refused like a planned one (a number of devices, a path).
struct KnownValues {
  std::string_view option;
  std::vector<std::string> built;
  std::vector<std::string> planned;
  bool any = false;
  std::string_view not_of = {};  // a command that means something else by this option
};

// A value that becomes real moves from `planned` to `built`; an option without a row takes any value. A row
// holds for --OPTION-a and --OPTION-b too, the two sides of `eval compare`.
const std::vector<KnownValues>& known_values() {
  static const std::vector<KnownValues> kTable = {
      {"--backend", {"turbomind", "pytorch"}, {}, false, "serve"},
      {"--dtype", {"auto", "float32", "float16", "bfloat16"}, {}},
      {"--device", {"auto", "cuda", "cpu"}, {"ascend", "maca", "camb"}},
      {"--model-format", {"hf", "awq", "gptq", "compressed-tensors", "fp8"}, {"mxfp4", "llama"}},
      {"--w4-arithmetic", {"exact", "fast"}, {}},
      {"--head-bits", {"16", "8"}, {}},
      {"--quant-policy", {"0", "4", "8"}, {"16", "17", "42"}},
      {"--log-level", {"CRITICAL", "FATAL", "ERROR", "WARNING", "WARN", "INFO", "DEBUG", "NOTSET"}, {}},
      {"--communicator", {"nccl", "native", "cuda-ipc"}, {}},
      {"--quant-dtype", {"int8"}, {"fp8", "float8_e4m3fn", "float8_e5m2"}},
      {"--role", {"Hybrid"}, {"Prefill", "Decode"}},
      {"--tp", {"1"}, {}, true, "plan"},
      {"--dp", {"1"}, {}, true},
      {"--ep", {"1"}, {}, true},
      {"--cp", {"1"}, {}, true},
      {"--nnodes", {"1"}, {}, true},
      {"--node-rank", {"0"}, {}, true},
      {"--rope-scaling-factor", {"0", "0.0"}, {}, true},
      {"--use-logn-attn", {"false"}, {"true"}},
      {"--enable-return-routed-experts", {"false"}, {"true"}},
      {"--allow-terminate-by-client", {"false"}, {"true"}},
      {"--adapters", {}, {}, true},
      {"--speculative-algorithm", {}, {}, true},
      {"--speculative-draft-model", {}, {}, true},
      {"--logprobs-mode", {}, {}, true},
      {"--proxy-url", {}, {}, true},
  };
  return kTable;
}

std::string upper(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return text;
}

bool contains(const std::vector<std::string>& values, const std::string& value) {
  return std::any_of(values.begin(), values.end(),
                     [&](const std::string& known) { return upper(known) == upper(value); });
}

[[noreturn]] void refuse_unknown(const std::string& option, const KnownValues& known,
                                 const std::string& value) {
  std::vector<std::string> all = known.built;
  all.insert(all.end(), known.planned.begin(), known.planned.end());
  const std::string near = nearest(value, all);
  throw UsageError(fmt::format("{} does not know the value '{}'", option, value),
                   fmt::format("{}It takes: {}.", near.empty() ? "" : fmt::format("Did you mean {}? ", near),
                               fmt::join(all, ", ")));
}

}  // namespace

void check_known_values(const CLI::App& command) {
  std::vector<std::string> refused, built;
  for (const KnownValues& known : known_values())
    for (const char* side : {"", "-a", "-b"}) {
      const std::string name = std::string(known.option) + side;
      const CLI::Option* option = command.get_option_no_throw(name);
      if (option == nullptr || known.not_of == command.get_name()) continue;
      for (const std::string& value : option->results()) {
        if (contains(known.built, value)) continue;
        if (!known.any && !contains(known.planned, value)) refuse_unknown(name, known, value);
        refused.push_back(fmt::format("{} {}", name, value));
        built.push_back(known.built.empty() ? fmt::format("leave out {}", name)
                                            : fmt::format("{} {}", name, fmt::join(known.built, " or ")));
      }
    }
  if (refused.empty()) return;
  throw UsageError(fmt::format("not built yet: {}", fmt::join(refused, ", ")),
                   fmt::format("What works today: {}.", fmt::join(built, ", ")));
}

}  // namespace lmdeploy::cli
