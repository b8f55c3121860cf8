#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace lmdeploy {

// Finds markers such as <tool_call> in a text that comes byte by byte. The first byte of a marker occurs in
// no marker a second time, so that the search never goes back.
class MarkerFinder {
 public:
  explicit MarkerFinder(std::vector<std::string> markers);  // none empty

  // The index of the marker that ends here. What is certainly no marker is appended to `text`.
  std::optional<std::size_t> feed(char byte, std::string& text);

  // What may yet be the beginning of a marker, and is none once nothing follows.
  std::string take_held() { return std::exchange(held_, {}); }

 private:
  bool begins_marker(std::string_view text) const;

  std::vector<std::string> markers_;
  std::string held_;
};

}  // namespace lmdeploy
