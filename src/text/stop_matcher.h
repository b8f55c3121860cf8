#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace lmdeploy {

// Finds the first of several stop strings in a text that comes piece by piece, in time linear in the text
// however many strings there are and wherever they begin and end (Aho & Corasick 1975).
class StopMatcher {
 public:
  explicit StopMatcher(std::span<const std::string> stops);  // none empty

  struct Match {
    std::size_t end;       // of the stop string, in the piece
    std::size_t stop_len;  // may be more than `end`: it began in an earlier piece
  };
  // The stop string that is complete first; of several that end there, the longest. Nothing may be fed after
  // it.
  std::optional<Match> feed(std::string_view piece);

  // How many of the last bytes fed are the beginning of a stop string.
  std::size_t held_len() const { return nodes_[node_].depth; }

 private:
  // A beginning of a stop string.
  struct Node {
    std::vector<std::pair<char, std::uint32_t>> children;
    std::uint32_t fallback = 0;  // the longest other beginning with which this one ends
    std::uint32_t depth = 0;     // bytes
    std::uint32_t stop_len = 0;  // of the longest stop string with which this one ends; 0: none
  };
  void add(std::string_view stop);
  void link();
  std::optional<std::uint32_t> child(std::uint32_t node, char byte) const;
  std::uint32_t next(std::uint32_t node, char byte) const;

  std::vector<Node> nodes_{1};  // the root is the empty beginning
  std::uint32_t node_ = 0;      // where the text has led to
};

}  // namespace lmdeploy
