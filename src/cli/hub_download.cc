#include "cli/hub_download.h"

#include <fmt/core.h>

#include <fstream>

#include "cli/environment.h"
#include "cli/progress.h"

namespace lmdeploy::cli {
namespace {

namespace fs = std::filesystem;

fs::path hf_home() {
  const auto home = environment_variable("HF_HOME");
  return home ? fs::path(*home) : user_cache_folder() / "huggingface";
}

// The token of the environment, or the one that `hf auth login` stored.
std::string token() {
  for (const char* name : {"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"})
    if (const auto value = environment_variable(name)) return *value;
  const auto path = environment_variable("HF_TOKEN_PATH");
  std::ifstream in(path ? fs::path(*path) : hf_home() / "token");
  std::string stored;
  in >> stored;
  return stored;
}

fs::path hub_cache() {
  for (const char* name : {"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"})
    if (const auto value = environment_variable(name)) return *value;
  return hf_home() / "hub";
}

std::string certificates() {
  for (const char* name : {"REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"})
    if (const auto value = environment_variable(name)) return *value;
  return {};
}

}  // namespace

client::HubOptions hub_options(const ModelOptions& model) {
  client::HubOptions options;
  if (const auto endpoint = environment_variable("HF_ENDPOINT")) options.endpoint = *endpoint;
  while (options.endpoint.ends_with('/')) options.endpoint.pop_back();
  options.token = token();
  options.cache_dir = model.download_dir.empty() ? hub_cache() : fs::path(model.download_dir);
  if (!model.revision.empty()) options.revision = model.revision;
  options.offline = environment_flag("HF_HUB_OFFLINE") || environment_flag("TRANSFORMERS_OFFLINE");
  options.http.ca_file = certificates();
  return options;
}

fs::path download_from_hub(const ModelOptions& model) {
  client::HubOptions options = hub_options(model);
  ProgressLine line(model.model);
  options.on_progress = [&](const client::HubProgress& progress) {
    line.update(progress.done_bytes, progress.total_bytes,
                fmt::format("{} of {} files", progress.num_files_done, progress.num_files));
  };
  return client::download_model(model.model, options);
}

}  // namespace lmdeploy::cli
