#pragma once
#include <filesystem>
#include <optional>
#include <string>

namespace lmdeploy::cli {

// Environment variables are read here and nowhere else. Empty where unset or set to nothing.
std::optional<std::string> environment_variable(const char* name);

// True for 1, ON, YES, TRUE in any case, as the hub's own client reads them.
bool environment_flag(const char* name);

std::filesystem::path home_folder();        // HOME, or the temporary folder without one
std::filesystem::path user_cache_folder();  // XDG_CACHE_HOME, or ~/.cache
// XDG_STATE_HOME, or ~/.local/state; empty where there is no home of the user's own.
std::optional<std::filesystem::path> user_state_folder();
std::filesystem::path lmdeploy_cache_folder();  // LMDEPLOY_CACHE, or lmdeploy in the above

}  // namespace lmdeploy::cli
