#pragma once
#include <filesystem>
#include <string>
#include <vector>

namespace lmdeploy::cli {

// The text of a folder's config.json with the overrides merged in (RFC 7386: null removes a key). Throws
// Error where one of them is no JSON object.
std::string overridden_config(const std::filesystem::path& folder, const std::vector<std::string>& overrides);

// A folder with that config.json, whose other entries are links into `folder`; it lies in the cache, named
// after what it was made from. Throws Error.
std::filesystem::path overridden_folder(const std::filesystem::path& folder,
                                        const std::vector<std::string>& overrides);

}  // namespace lmdeploy::cli
