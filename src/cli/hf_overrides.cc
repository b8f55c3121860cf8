#include "cli/hf_overrides.h"

#include <unistd.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "cli/cache_key.h"
#include "cli/environment.h"
#include "cli/usage_error.h"

namespace lmdeploy::cli {

namespace fs = std::filesystem;

namespace {

void build(const fs::path& folder, const fs::path& target, const std::string& config) {
  fs::create_directories(target);
  for (const auto& entry : fs::directory_iterator(folder))
    if (entry.path().filename() != "config.json")
      fs::create_symlink(fs::absolute(entry.path()), target / entry.path().filename());
  std::ofstream out(target / "config.json");
  out << config;
  if (!out.flush()) throw Error(fmt::format("cannot write {}", target.string()), "Free disk space.");
}

}  // namespace

std::string overridden_config(const fs::path& folder, const std::vector<std::string>& overrides) {
  using Json = nlohmann::ordered_json;
  std::ifstream in(folder / "config.json");
  Json config = Json::parse(in, nullptr, false);
  if (!config.is_object())
    throw Error(fmt::format("{} is no JSON object", (folder / "config.json").string()),
                "Give the folder of a Hugging Face model.");
  for (const std::string& text : overrides) {
    const Json patch = Json::parse(text, nullptr, false);
    if (!patch.is_object())
      throw UsageError(fmt::format("--hf-overrides: '{}' is no JSON object", text),
                       R"(Write --hf-overrides '{"rope_theta": 1e6}' or --hf-overrides.rope_theta 1e6.)");
    config.merge_patch(patch);
  }
  return config.dump(2) + '\n';
}

fs::path overridden_folder(const fs::path& folder, const std::vector<std::string>& overrides) {
  const std::string config = overridden_config(folder, overrides);
  const fs::path target = lmdeploy_cache_folder() / "overrides" /
                          cache_key(folder.filename().string(), fs::canonical(folder).string() + config);
  const fs::path fresh = target.string() + fmt::format(".{}", getpid());
  // Built anew each time: the linked folder may have gained or lost files.
  build(folder, fresh, config);
  fs::remove_all(target);
  fs::rename(fresh, target);
  return target;
}

}  // namespace lmdeploy::cli
