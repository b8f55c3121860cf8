#include "text/reasoning.h"

#include "text/json_scanner.h"

namespace lmdeploy {
namespace {

std::string_view without_space_at_end(std::string_view text) {
  while (!text.empty() && is_json_space(text.back())) text.remove_suffix(1);
  return text;
}

}  // namespace

ReasoningStart reasoning_start(const ReasoningFormat& format, std::string_view prompt) {
  prompt = without_space_at_end(prompt);
  if (prompt.ends_with(kThinkBegin)) return ReasoningStart::open;
  if (prompt.ends_with(kThinkEnd)) return ReasoningStart::closed;
  return format.always_thinks_first ? ReasoningStart::open : ReasoningStart::undecided;
}

ReasoningSplitter::ReasoningSplitter(ReasoningStart start)
    : state_(start == ReasoningStart::open     ? State::opened
             : start == ReasoningStart::closed ? State::rest
                                               : State::undecided) {}

ReasoningSplitter::Pieces ReasoningSplitter::feed(std::string_view text) {
  Pieces pieces;
  for (const char byte : text) feed(byte, pieces);
  return pieces;
}

void ReasoningSplitter::feed(char byte, Pieces& pieces) {
  switch (state_) {
    case State::undecided:
    case State::opened:
      feed_before(byte, pieces);
      break;
    case State::reasoning: {
      std::string text;
      if (end_.feed(byte, text)) state_ = State::ended;
      add_reasoning(text, pieces);
      if (state_ == State::ended) space_.clear();
      break;
    }
    case State::ended:
      if (is_json_space(byte)) break;
      state_ = State::rest;
      [[fallthrough]];
    case State::rest:
      pieces.rest += byte;
  }
}

// Before it is known whether there is a <think>.
void ReasoningSplitter::feed_before(char byte, Pieces& pieces) {
  std::string text;
  if (begin_.feed(byte, text)) {
    state_ = State::opened;
    space_.clear();
    return;
  }
  const bool is_space = !text.empty() && without_space_at_end(text).empty();
  if (is_space) space_ += text;
  if (text.empty() || is_space) return;
  text += begin_.take_held();
  if (state_ == State::undecided) {
    state_ = State::rest;
    pieces.rest += std::exchange(space_, {}) + text;
    return;
  }
  state_ = State::reasoning;
  space_.clear();
  for (const char c : text) feed(c, pieces);
}

void ReasoningSplitter::add_reasoning(std::string_view text, Pieces& pieces) {
  for (const char byte : text) {
    space_ += byte;
    if (!is_json_space(byte)) pieces.reasoning += std::exchange(space_, {});
  }
}

ReasoningSplitter::Pieces ReasoningSplitter::finish() {
  Pieces pieces;
  if (state_ == State::undecided) pieces.rest = space_ + begin_.take_held();
  if (state_ == State::opened) add_reasoning(begin_.take_held(), pieces);
  if (state_ == State::reasoning) add_reasoning(end_.take_held(), pieces);
  return pieces;
}

}  // namespace lmdeploy
