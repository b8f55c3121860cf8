#include "convert/architectures.h"

#include <fmt/ranges.h>

#include <string>
#include <vector>

#include "base/error.h"

namespace lmdeploy::convert {
namespace {

using Bias = Architecture::Bias;

constexpr Architecture kArchitectures[] = {
    {"llama", "LlamaForCausalLM", "llama", true, false, Bias::all_or_none},
    {"qwen2", "Qwen2ForCausalLM", "qwen2", false, false, Bias::qkv},
    {"qwen3", "Qwen3ForCausalLM", "qwen3", false, true, Bias::none},
};

}  // namespace

const Architecture& get_architecture(const GgufMetadata& metadata) {
  const std::string name = metadata.get_string("general.architecture");
  std::vector<std::string_view> known;
  for (const Architecture& row : kArchitectures) {
    if (row.gguf_name == name) return row;
    known.push_back(row.gguf_name);
  }
  throw Error(fmt::format("{}: the architecture \"{}\" is not supported", metadata.origin(), name),
              fmt::format("Supported are {}.", fmt::join(known, ", ")));
}

}  // namespace lmdeploy::convert
