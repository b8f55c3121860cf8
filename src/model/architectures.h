#pragma once
// Each architecture in the file of its name says where a decoder's weights lie; registry.cc lists them. A new
// architecture is a file, a line here and a row there.
#include <cstdint>
#include <string>
#include <vector>

#include "checkpoint/hf_config.h"
#include "model/decoder.h"
#include "model/linear_group.h"
#include "model/registry.h"
#include "model/weight_reader.h"

namespace lmdeploy {

// What a model is built from.
struct ModelSource {
  const HfConfig& config;
  WeightReader& weights;
  const LoadOptions& options;
};

// Names of what lies outside the layers.
struct OuterNames {
  std::string embedding, final_norm, head;
};

struct Architecture {
  std::string name;  // architectures[0] of config.json
  OuterNames outer;
  DecoderLayer (*read_layer)(const ModelSource& source, std::int64_t layer_idx);
  std::vector<LinearGroup> linear_groups;  // of every layer, in the order in which they compute
};

// The row of config.architecture. Throws Error, with the known ones, where there is none.
const Architecture& get_architecture(const HfConfig& config, const std::filesystem::path& folder);

Architecture internlm2();
Architecture llama();
Architecture mistral();
Architecture qwen2();
Architecture qwen3();

}  // namespace lmdeploy
