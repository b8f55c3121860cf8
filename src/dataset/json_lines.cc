#include "dataset/json_lines.h"

#include <nlohmann/json.hpp>

#include "base/error.h"

namespace lmdeploy {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kMaxLineBytes = 16 << 20;
// A few bytes can unpack to gigabytes of nothing.
constexpr std::size_t kMaxUnpackedBytes = 64 << 20;

class LineReader {
 public:
  LineReader(std::string_view key, const RowSink& sink) : key_(key), sink_(sink) {}

  // False: no more rows are wanted.
  bool feed(std::string_view bytes) {
    for (std::size_t end; (end = bytes.find('\n')) != std::string_view::npos; bytes.remove_prefix(end + 1)) {
      extend(bytes.substr(0, end));
      if (!take_line()) return false;
    }
    extend(bytes);
    return true;
  }

  void finish() { take_line(); }

 private:
  void extend(std::string_view bytes) {
    if (bytes.size() > kMaxLineBytes - line_.size()) refuse("is longer than 16 MiB");
    line_ += bytes;
  }

  bool take_line() {
    ++line_number_;
    if (line_.find_first_not_of(" \t\r") == std::string::npos) {
      line_.clear();
      return true;
    }
    // What lies deeper is not wanted, and need not be kept.
    const auto shallow = [](int depth, Json::parse_event_t event, Json&) {
      return depth == 0 || event == Json::parse_event_t::key || event == Json::parse_event_t::value;
    };
    const Json json = Json::parse(line_, shallow, false);
    line_.clear();
    if (!json.is_object()) refuse("is no JSON object");
    const auto found = json.find(key_);
    if (found == json.end() || !found->is_string()) refuse(fmt::format("has no text under '{}'", key_));
    return sink_(found->get_ref<const std::string&>());
  }

  [[noreturn]] void refuse(const std::string& reason) const {
    throw Error(fmt::format("its line {} {}", line_number_, reason), "Check where it came from.");
  }

  std::string key_;
  const RowSink& sink_;
  std::string line_;
  int line_number_ = 0;
};

}  // namespace

void read_json_lines(PackedStream& stream, std::string_view key, const RowSink& sink) {
  LineReader lines(key, sink);
  std::size_t num_unpacked = 0;
  for (std::string_view piece; !(piece = stream.next()).empty();) {
    if (!lines.feed(piece)) return;
    if ((num_unpacked += piece.size()) > kMaxUnpackedBytes) return;
  }
  if (!stream.cut_off()) lines.finish();
}

}  // namespace lmdeploy
