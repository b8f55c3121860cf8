#include "text/stop_matcher.h"

#include "base/error.h"

namespace lmdeploy {

StopMatcher::StopMatcher(std::span<const std::string> stops) {
  for (const std::string& stop : stops) add(stop);
  link();
}

void StopMatcher::add(std::string_view stop) {
  CHECK(!stop.empty(), "an empty stop string");
  std::uint32_t node = 0;
  for (const char byte : stop) {
    if (const auto known = child(node, byte)) {
      node = *known;
      continue;
    }
    const auto added = static_cast<std::uint32_t>(nodes_.size());
    const std::uint32_t depth = nodes_[node].depth + 1;
    nodes_[node].children.emplace_back(byte, added);
    nodes_.push_back({.children = {}, .fallback = 0, .depth = depth, .stop_len = 0});
    node = added;
  }
  nodes_[node].stop_len = nodes_[node].depth;
}

// Level by level, since a fallback is always shorter.
void StopMatcher::link() {
  std::vector<std::uint32_t> level{0};
  while (!level.empty()) {
    std::vector<std::uint32_t> next_level;
    for (const std::uint32_t parent : level)
      for (const auto& [byte, node] : nodes_[parent].children) {
        nodes_[node].fallback = parent == 0 ? 0 : next(nodes_[parent].fallback, byte);
        if (nodes_[node].stop_len == 0) nodes_[node].stop_len = nodes_[nodes_[node].fallback].stop_len;
        next_level.push_back(node);
      }
    level = std::move(next_level);
  }
}

std::optional<std::uint32_t> StopMatcher::child(std::uint32_t node, char byte) const {
  for (const auto& [own, id] : nodes_[node].children)
    if (own == byte) return id;
  return std::nullopt;
}

// The longest beginning with which the text ends once `byte` has come.
std::uint32_t StopMatcher::next(std::uint32_t node, char byte) const {
  for (;; node = nodes_[node].fallback) {
    if (const auto longer = child(node, byte)) return *longer;
    if (node == 0) return 0;
  }
}

std::optional<StopMatcher::Match> StopMatcher::feed(std::string_view piece) {
  if (nodes_.size() == 1) return std::nullopt;
  for (std::size_t i = 0; i < piece.size(); ++i) {
    node_ = next(node_, piece[i]);
    if (nodes_[node_].stop_len > 0) return Match{i + 1, nodes_[node_].stop_len};
  }
  return std::nullopt;
}

}  // namespace lmdeploy
