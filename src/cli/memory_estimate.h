#pragma once
#include <cstdint>
#include <optional>
#include <string>

#include "checkpoint/hf_config.h"
#include "cli/model_options.h"
#include "cli/model_source.h"
#include "engine/memory_plan.h"
#include "model/model.h"
#include "quant/quantized_rows.h"

namespace lmdeploy::cli {

// How a server's memory is divided, before anything of the model but its headers was read.
struct MemoryEstimate {
  Device device = Device::cpu;  // whose memory it is
  MemoryPlan plan;
  ModelInfo info;
};
// What a plan may suppose that is not so here.
struct Suppositions {
  std::int32_t num_devices = 1;             // share each layer and its kv heads; the estimate is one device's
  std::optional<std::int64_t> other_bytes;  // what else takes memory there; empty: what it is here
  std::optional<QuantFormat> rounding;      // of linear layers that the folder holds as floats
};

// Of a card with --memory no card is needed. Throws Error where the folder is no model's, or its heads cannot
// be shared so. Whether it fits is check_fits()'s business.
MemoryEstimate estimate_memory(const ModelSource& source, const HfConfig& config, const std::string& dtype,
                               const EngineFlags& flags, const Suppositions& supposed = {});

}  // namespace lmdeploy::cli
