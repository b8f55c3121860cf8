#include "checkpoint/json_file.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <vector>

#include "base/error.h"

namespace lmdeploy {
namespace {

using nlohmann::json;

constexpr int kMaxDepth = 64;

// Follows the parser's events: refuses depth and duplicate names while the text is read, before a tree of
// that depth exists.
class Guard {
 public:
  explicit Guard(const std::string& origin) : origin_(origin) {}

  bool operator()(int depth, json::parse_event_t event, const json& value) {
    // An object or list that opens at depth 0 is the outermost.
    const bool opens =
        event == json::parse_event_t::object_start || event == json::parse_event_t::array_start;
    if (opens && depth >= kMaxDepth)
      throw Error(fmt::format("{}: JSON nested more than {} deep", origin_, kMaxDepth),
                  "The file is damaged or made to harm; fetch it again from its source.");
    switch (event) {
      case json::parse_event_t::object_start:
        names_.emplace_back();
        break;
      case json::parse_event_t::object_end:
        names_.pop_back();
        break;
      case json::parse_event_t::key:
        add_name(value.get_ref<const std::string&>());
        break;
      default:
        break;
    }
    return true;
  }

 private:
  void add_name(const std::string& name) {
    if (!names_.back().insert(name).second)
      throw Error(fmt::format("{}: the name \"{}\" stands twice in one JSON object", origin_, name),
                  "The file is damaged; fetch it again from its source.");
  }

  const std::string& origin_;
  std::vector<std::set<std::string>> names_;  // of the objects that are open
};

}  // namespace

json parse_json(std::string_view text, const std::string& origin) {
  Guard guard(origin);
  try {
    return json::parse(text, [&guard](int depth, json::parse_event_t event, json& value) {
      return guard(depth, event, value);
    });
  } catch (const json::exception& problem) {
    throw Error(fmt::format("{} is not valid JSON: {}", origin, problem.what()),
                "The file is damaged or incomplete; fetch it again from its source.");
  }
}

std::string read_text_file(const std::filesystem::path& path, std::uint64_t max_bytes) {
  std::error_code failure;
  const std::uint64_t size = std::filesystem::file_size(path, failure);
  if (failure) throw Error(fmt::format("cannot read {}: {}", path.string(), failure.message()));
  if (size > max_bytes)
    throw Error(fmt::format("{} has {} bytes; at most {} are expected", path.string(), size, max_bytes));
  std::ifstream in(path, std::ios::binary);
  std::string text(static_cast<std::size_t>(size), '\0');
  in.read(text.data(), static_cast<std::streamsize>(size));
  if (!in) throw Error(fmt::format("cannot read {}: {}", path.string(), std::strerror(errno)));
  refuse_git_lfs_pointer(text, path.string());
  return text;
}

json load_json_object(const std::filesystem::path& path, std::uint64_t max_bytes) {
  json object = parse_json(read_text_file(path, max_bytes), path.string());
  if (!object.is_object())
    throw Error(fmt::format("{}: expected a JSON object, found {}", path.string(), object.type_name()));
  return object;
}

void refuse_git_lfs_pointer(std::string_view start_of_file, const std::string& origin) {
  if (start_of_file.starts_with("version https://git-lfs.github.com/spec/"))
    throw Error(fmt::format("{} is a git-lfs pointer: the large file itself was never fetched", origin),
                "Run `git lfs install && git lfs pull` in the model's repository.");
}

}  // namespace lmdeploy
