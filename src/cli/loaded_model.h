#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "checkpoint/hf_config.h"
#include "cli/memory_estimate.h"
#include "cli/model_options.h"
#include "cli/model_source.h"
#include "engine/engine.h"
#include "server/served_model.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace lmdeploy::cli {

// A model that answers: everything that ServedModel borrows.
struct LoadedModel {
  ModelSource source;
  HfConfig config;
  GenerationConfig generation;
  std::unique_ptr<Tokenizer> tokenizer;
  std::unique_ptr<ChatTemplate> chat_template;  // null where the folder has none
  Dialect dialect;
  std::unique_ptr<Engine> engine;
  std::string summary;  // what was loaded, in one or two lines for the user

  ServedModel served(std::vector<std::string> names) const;
};

// Plans the memory, reads the folder and starts the engine; the tokenizer loads beside the weights. on_plan
// is called before anything is loaded; may be empty. Throws Error.
LoadedModel load_served_model(const ModelOptions& model, const EngineFlags& engine, const ChatOptions& chat,
                              const std::function<void(const MemoryEstimate&)>& on_plan = {});

}  // namespace lmdeploy::cli
