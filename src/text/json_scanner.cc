#include "text/json_scanner.h"

namespace lmdeploy {
namespace {

bool is_digit(char byte) {
  return byte >= '0' && byte <= '9';
}

bool is_hex_digit(char byte) {
  return is_digit(byte) || (byte >= 'a' && byte <= 'f') || (byte >= 'A' && byte <= 'F');
}

}  // namespace

bool is_json_space(char byte) {
  return byte == ' ' || byte == '\n' || byte == '\r' || byte == '\t';
}

JsonScanner::Status JsonScanner::go(State state) {
  state_ = state;
  return Status::more;
}

JsonScanner::Status JsonScanner::feed(char byte) {
  switch (state_) {
    case State::value:
      return is_json_space(byte) ? Status::more : begin_value(byte);
    case State::first_element:
      if (byte == ']') return feed_after_value(byte);
      return is_json_space(byte) ? Status::more : begin_value(byte);
    case State::first_key:
      if (byte == '}') return feed_after_value(byte);
      [[fallthrough]];
    case State::key:
      if (is_json_space(byte)) return Status::more;
      return byte == '"' ? begin_string(State::colon) : Status::bad;
    case State::colon:
      if (is_json_space(byte)) return Status::more;
      return byte == ':' ? go(State::value) : Status::bad;
    case State::string:
    case State::escape:
    case State::hex:
      return feed_string(byte);
    case State::literal:
      if (byte != rest_.front()) return Status::bad;
      rest_.remove_prefix(1);
      return rest_.empty() ? end_value(Status::done) : Status::more;
    case State::after_value:
      return is_json_space(byte) ? Status::more : feed_after_value(byte);
    default:
      return feed_number(byte);
  }
}

JsonScanner::Status JsonScanner::begin_value(char byte) {
  const auto begin_literal = [this](std::string_view rest) {
    rest_ = rest;
    return go(State::literal);
  };
  switch (byte) {
    case '{':
    case '[':
      return open(byte);
    case '"':
      return begin_string(State::after_value);
    case 't':
      return begin_literal("rue");
    case 'f':
      return begin_literal("alse");
    case 'n':
      return begin_literal("ull");
    case '-':
      return go(State::number_sign);
    case '0':
      return go(State::number_zero);
    default:
      return is_digit(byte) ? go(State::number_digits) : Status::bad;
  }
}

JsonScanner::Status JsonScanner::begin_string(State then) {
  after_string_ = then;
  return go(State::string);
}

JsonScanner::Status JsonScanner::open(char bracket) {
  if (open_.size() >= kMaxDepth) return Status::bad;
  open_.push_back(bracket);
  return go(bracket == '{' ? State::first_key : State::first_element);
}

JsonScanner::Status JsonScanner::end_value(Status if_outermost) {
  state_ = State::after_value;
  return open_.empty() ? if_outermost : Status::more;
}

JsonScanner::Status JsonScanner::feed_after_value(char byte) {
  const bool in_object = open_.back() == '{';
  if (byte == ',') return go(in_object ? State::key : State::value);
  if (byte != (in_object ? '}' : ']')) return Status::bad;
  open_.pop_back();
  return end_value(Status::done);
}

JsonScanner::Status JsonScanner::feed_string(char byte) {
  constexpr std::string_view kEscapes = "\"\\/bfnrt";
  if (state_ == State::hex) {
    if (!is_hex_digit(byte)) return Status::bad;
    return --num_hex_left_ == 0 ? go(State::string) : Status::more;
  }
  if (state_ == State::escape) {
    num_hex_left_ = 4;
    if (byte == 'u') return go(State::hex);
    return kEscapes.find(byte) == kEscapes.npos ? Status::bad : go(State::string);
  }
  if (byte == '\\') return go(State::escape);
  if (byte != '"') return static_cast<unsigned char>(byte) < 0x20 ? Status::bad : Status::more;
  return after_string_ == State::colon ? go(State::colon) : end_value(Status::done);
}

JsonScanner::Status JsonScanner::feed_number(char byte) {
  const bool digit = is_digit(byte);
  const bool is_e = byte == 'e' || byte == 'E';
  switch (state_) {
    case State::number_sign:
      if (!digit) return Status::bad;
      return go(byte == '0' ? State::number_zero : State::number_digits);
    case State::number_digits:
      if (digit) return Status::more;
      [[fallthrough]];
    case State::number_zero:
      if (byte == '.') return go(State::number_point);
      return is_e ? go(State::number_e) : end_number(byte);
    case State::number_point:
      return digit ? go(State::number_fraction) : Status::bad;
    case State::number_fraction:
      if (digit) return Status::more;
      return is_e ? go(State::number_e) : end_number(byte);
    case State::number_e:
      if (byte == '+' || byte == '-') return go(State::number_e_sign);
      [[fallthrough]];
    case State::number_e_sign:
      return digit ? go(State::number_exponent) : Status::bad;
    default:  // number_exponent
      return digit ? Status::more : end_number(byte);
  }
}

JsonScanner::Status JsonScanner::end_number(char byte) {
  const Status status = end_value(Status::done_before);
  return status == Status::more ? feed(byte) : status;
}

}  // namespace lmdeploy
