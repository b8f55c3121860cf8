#include "text/marker_finder.h"

#include <algorithm>

#include "base/error.h"

namespace lmdeploy {

MarkerFinder::MarkerFinder(std::vector<std::string> markers) : markers_(std::move(markers)) {
  for (const std::string& marker : markers_)
    CHECK(!marker.empty() && marker.find(marker.front(), 1) == marker.npos, "{}", marker);
}

bool MarkerFinder::begins_marker(std::string_view text) const {
  return std::ranges::any_of(markers_, [&](const std::string& marker) { return marker.starts_with(text); });
}

std::optional<std::size_t> MarkerFinder::feed(char byte, std::string& text) {
  held_ += byte;
  if (!begins_marker(held_)) {
    held_.pop_back();
    text += take_held();
    held_ += byte;
    if (!begins_marker(held_)) text += take_held();
    return std::nullopt;
  }
  const auto found = std::ranges::find(markers_, held_);
  if (found == markers_.end()) return std::nullopt;
  held_.clear();
  return static_cast<std::size_t>(found - markers_.begin());
}

}  // namespace lmdeploy
