#include "model/registry.h"

#include <algorithm>
#include <array>
#include <string>

#include "base/error.h"
#include "model/architectures.h"

namespace lmdeploy {
namespace {

struct Architecture {
  std::string_view name;  // architectures[0] of config.json
  std::unique_ptr<const Model> (*build)(const ModelSource& source);
};

constexpr std::array kArchitectures{
    Architecture{"InternLM2ForCausalLM", build_internlm2}, Architecture{"LlamaForCausalLM", build_llama},
    Architecture{"MistralForCausalLM", build_mistral},     Architecture{"Qwen2ForCausalLM", build_qwen2},
    Architecture{"Qwen3ForCausalLM", build_qwen3},
};

constexpr auto kNames = [] {
  std::array<std::string_view, kArchitectures.size()> names;
  for (std::size_t i = 0; i < names.size(); i++) names[i] = kArchitectures[i].name;
  return names;
}();

const Architecture* find_architecture(std::string_view name) {
  const auto found = std::find_if(kArchitectures.begin(), kArchitectures.end(),
                                  [&](const Architecture& row) { return row.name == name; });
  return found == kArchitectures.end() ? nullptr : &*found;
}

}  // namespace

std::span<const std::string_view> known_architectures() {
  return kNames;
}

std::unique_ptr<const Model> load_model(Ctx& ctx, const std::filesystem::path& folder,
                                        const LoadOptions& options) {
  const HfConfig config = load_hf_config(folder);
  const Architecture* architecture = find_architecture(config.architecture);
  if (architecture == nullptr)
    throw Error(fmt::format("{}: architecture \"{}\" is not known (known: {})", folder.string(),
                            config.architecture, fmt::join(kNames, ", ")),
                "Use a model of one of these architectures; see `lmdeploy list`.");
  WeightReader weights(ctx, std::make_shared<const Checkpoint>(folder), options.dtype.value_or(config.dtype));
  std::unique_ptr<const Model> model = architecture->build({config, weights, options});
  weights.warn_about_unread();
  return model;
}

}  // namespace lmdeploy
