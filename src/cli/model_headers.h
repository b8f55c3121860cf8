#pragma once
#include <memory>

#include "cli/model_options.h"
#include "cli/model_source.h"
#include "cli/outline_folder.h"

namespace lmdeploy::cli {

// A model as far as its headers tell it: its own folder, or an outline that lasts as long as this.
struct ModelHeaders {
  ModelSource source;
  std::unique_ptr<OutlineFolder> outline;  // null: the folder is the model's own
};

// As find_model(), but of a hub name that is not in the cache only the headers are asked for. Throws Error.
ModelHeaders find_headers(const ModelOptions& options);

}  // namespace lmdeploy::cli
