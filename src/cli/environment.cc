#include "cli/environment.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>

namespace lmdeploy::cli {

std::optional<std::string> environment_variable(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr || *value == '\0') return std::nullopt;
  return value;
}

bool environment_flag(const char* name) {
  std::string value = environment_variable(name).value_or("");
  std::transform(value.begin(), value.end(), value.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return value == "1" || value == "ON" || value == "YES" || value == "TRUE";
}

std::filesystem::path home_folder() {
  const std::optional<std::string> home = environment_variable("HOME");
  return home ? std::filesystem::path(*home) : std::filesystem::temp_directory_path();
}

std::filesystem::path user_cache_folder() {
  const std::optional<std::string> cache = environment_variable("XDG_CACHE_HOME");
  return cache ? std::filesystem::path(*cache) : home_folder() / ".cache";
}

std::optional<std::filesystem::path> user_state_folder() {
  const std::filesystem::path state = environment_variable("XDG_STATE_HOME").value_or("");
  if (state.is_absolute()) return state;  // its specification says to ignore others
  const std::optional<std::string> home = environment_variable("HOME");
  if (!home) return std::nullopt;
  return std::filesystem::path(*home) / ".local" / "state";
}

std::filesystem::path lmdeploy_cache_folder() {
  const std::optional<std::string> cache = environment_variable("LMDEPLOY_CACHE");
  return cache ? std::filesystem::path(*cache) : user_cache_folder() / "lmdeploy";
}

}  // namespace lmdeploy::cli
