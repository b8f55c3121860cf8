#pragma once
#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace lmdeploy {

// JSON from a foreign file. Nesting is capped at 64 and a name that stands twice in one object is an error:
// two readers of such a file would see two different models. `origin` names the file in errors.
// Throws Error: not JSON, too deep, duplicate names, text that is not UTF-8.
nlohmann::json parse_json(std::string_view text, const std::string& origin);

// Reads a whole text file. Throws Error: missing, unreadable, larger than max_bytes, a git-lfs pointer.
std::string read_text_file(const std::filesystem::path& path, std::uint64_t max_bytes);

// Both together, for a file that must hold an object.
nlohmann::json load_json_object(const std::filesystem::path& path, std::uint64_t max_bytes);

// Throws Error where the bytes are the stand-in that git leaves for a large file it did not fetch.
void refuse_git_lfs_pointer(std::string_view start_of_file, const std::string& origin);

}  // namespace lmdeploy
