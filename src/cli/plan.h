#pragma once
#include "cli/memory_estimate.h"
#include "cli/model_options.h"

namespace lmdeploy::cli {

struct PlanOptions {
  ModelOptions model;
  EngineFlags engine;
  Suppositions supposed = {};
  bool supposes_quantized = false;  // model_format awq of a 16-bit folder: what it would be after auto_awq
  bool json = false;
};

// Reads the model's headers and prints how its server's memory would be divided and, where that does not fit,
// what would. Returns the exit status: 1 where it does not fit.
int run_plan(const PlanOptions& options);

}  // namespace lmdeploy::cli
