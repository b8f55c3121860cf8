#include "cli/model_headers.h"

#include "cli/hf_overrides.h"
#include "cli/hub_download.h"
#include "client/hub_headers.h"

namespace lmdeploy::cli {
namespace {

namespace fs = std::filesystem;

ModelHeaders outline_of_hub(const ModelOptions& options, const client::HubOptions& hub) {
  ModelHeaders headers;
  headers.outline = std::make_unique<OutlineFolder>();
  headers.source = {headers.outline->path(), options.model, true};
  for (const client::HubFileStart& file : client::fetch_model_headers(options.model, hub))
    headers.outline->add_file(file.path, file.begin, static_cast<std::uint64_t>(file.size));
  if (!options.hf_overrides.empty()) {
    const std::string config = overridden_config(headers.source.folder, options.hf_overrides);
    headers.outline->add_file("config.json", config, config.size());
  }
  return headers;
}

}  // namespace

ModelHeaders find_headers(const ModelOptions& options) {
  const bool is_local = fs::exists(options.model) || !looks_like_hub_name(options.model);
  if (is_local) return {find_model(options), nullptr};
  const client::HubOptions hub = hub_options(options);
  const fs::path downloaded = client::find_downloaded(options.model, hub);
  if (downloaded.empty()) return outline_of_hub(options, hub);
  ModelOptions local = options;
  local.model = downloaded.string();
  ModelHeaders headers{find_model(local), nullptr};
  headers.source.name = options.model;
  return headers;
}

}  // namespace lmdeploy::cli
