#pragma once
#include <functional>
#include <memory>
#include <string>

#include "checkpoint/hf_config.h"
#include "cli/model_options.h"
#include "cli/model_source.h"
#include "engine/engine.h"
#include "engine/memory_plan.h"
#include "model/registry.h"
#include "text/tokenizer.h"

namespace lmdeploy::cli {

// A model that computes: ids in, ids out.
struct LoadedEngine {
  HfConfig config;
  std::unique_ptr<Engine> engine;
  std::string summary;  // what was loaded and what the cache came to, for the user
};

// The model's tokenizer where the caller has it anyway; asked for only where keys of 4 bits need a text.
// Empty: the folder's is then loaded.
using TokenizerOf = std::function<const Tokenizer&()>;

EngineOptions engine_options(Device device, const EngineFlags& flags, const MemoryPlan& plan);

// Loads the weights and starts the engine with the memory that was planned for it (cli/memory_estimate.h).
// Throws Error, also where the plan does not fit.
LoadedEngine load_engine(const ModelSource& source, const HfConfig& config, const std::string& dtype,
                         const EngineFlags& flags, const MemoryPlan& plan, const TokenizerOf& tokenizer = {});

// How the folder is read, without the text that centres keys of 4 bits: what an outline needs. dtype: auto,
// float32, float16, bfloat16.
LoadOptions load_options(Device device, const std::string& dtype, const EngineFlags& flags);
// Whether the layers of such a folder, so loaded, meet activations in int8.
bool multiplies_int8(const HfConfig& config, const EngineFlags& flags);

// The weights alone, packed with the threads of `ctx`.
std::unique_ptr<const Model> load_weights(Ctx& ctx, const ModelSource& source, const HfConfig& config,
                                          const std::string& dtype, const EngineFlags& flags,
                                          const TokenizerOf& tokenizer = {});

}  // namespace lmdeploy::cli
