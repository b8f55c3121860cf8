#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "text/marker_finder.h"

namespace lmdeploy {

// Where a model writes down what it thinks before it answers: between <think> and </think>.
struct ReasoningFormat {
  std::string_view name;     // --reasoning-parser
  bool always_thinks_first;  // an answer is reasoning from its first byte on, also without <think>
};
inline constexpr std::string_view kThinkBegin = "<think>";
inline constexpr std::string_view kThinkEnd = "</think>";

// What a prompt has written of it already.
enum class ReasoningStart : std::uint8_t {
  undecided,  // the answer says whether it begins with <think>
  open,       // the answer is reasoning until </think>
  closed,     // the template has closed it: a model that is told not to think
};
ReasoningStart reasoning_start(const ReasoningFormat& format, std::string_view prompt);

// Divides an answer that comes piece by piece into its reasoning and the rest, the same whatever the pieces
// are. White space around the reasoning belongs to neither. Where </think> never comes all is reasoning.
class ReasoningSplitter {
 public:
  explicit ReasoningSplitter(ReasoningStart start);

  struct Pieces {
    std::string reasoning;
    std::string rest;
  };
  Pieces feed(std::string_view text);
  Pieces finish();

  bool in_reasoning() const { return state_ == State::reasoning || state_ == State::opened; }

 private:
  enum class State : std::uint8_t {
    undecided,  // white space, perhaps the beginning of <think>
    opened,     // behind an open <think>: white space, perhaps <think> once more
    reasoning,
    ended,  // white space behind </think>
    rest
  };
  void feed(char byte, Pieces& pieces);
  void feed_before(char byte, Pieces& pieces);
  void add_reasoning(std::string_view text, Pieces& pieces);

  State state_;
  MarkerFinder begin_{{std::string(kThinkBegin)}};
  MarkerFinder end_{{std::string(kThinkEnd)}};
  std::string space_;  // held back: whether it belongs to a text is told by what follows
};

}  // namespace lmdeploy
