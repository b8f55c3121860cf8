#pragma once
#include <memory>
#include <string>

#include "checkpoint/hf_config.h"
#include "cli/model_options.h"
#include "cli/model_source.h"
#include "engine/engine.h"
#include "model/model.h"

namespace lmdeploy::cli {

// A model that computes: ids in, ids out.
struct LoadedEngine {
  HfConfig config;
  std::unique_ptr<Engine> engine;
  std::string summary;  // what was loaded and what the cache came to, for the user
};

// Loads the weights, plans the cache from what memory they left, starts the engine. Throws Error.
LoadedEngine load_engine(const ModelSource& source, const std::string& dtype, const EngineFlags& flags);

// The weights alone, packed with the threads of `ctx`. dtype: auto, float32, float16, bfloat16.
std::unique_ptr<const Model> load_weights(Ctx& ctx, const ModelSource& source, const std::string& dtype,
                                          const EngineFlags& flags);

}  // namespace lmdeploy::cli
