#pragma once
#include <filesystem>
#include <string>
#include <vector>

namespace lmdeploy::cli {

// A folder whose config.json has the overrides merged in (RFC 7386: null removes a key) and whose other
// entries are links into `folder`; it lies in the cache, named after what it was made from. Throws Error
// where an override is no JSON object.
std::filesystem::path overridden_folder(const std::filesystem::path& folder,
                                        const std::vector<std::string>& overrides);

}  // namespace lmdeploy::cli
