#pragma once
#include <cstdint>
#include <string_view>
#include <vector>

namespace lmdeploy {

// Checks one JSON value (RFC 8259) while it comes, byte by byte. Bytes above 0x7f in strings are taken as
// they are.
class JsonScanner {
 public:
  enum class Status : std::uint8_t {
    more,         // the value goes on
    done,         // it ends with this byte
    done_before,  // it ended before this byte: a number says so by what follows it
    bad           // this byte cannot stand here, or the value is nested deeper than kMaxDepth
  };
  static constexpr std::size_t kMaxDepth = 64;

  Status feed(char byte);  // nothing may be fed once the value is done or bad

 private:
  enum class State : std::uint8_t {
    value,
    first_element,  // a value, or the end of an empty list
    first_key,      // a key, or the end of an empty object
    key,
    colon,
    string,
    escape,
    hex,
    literal,
    number_sign,
    number_zero,
    number_digits,
    number_point,
    number_fraction,
    number_e,
    number_e_sign,
    number_exponent,
    after_value  // a comma, or the end of what holds the value
  };
  Status begin_value(char byte);
  Status begin_string(State then);
  Status open(char bracket);
  Status end_value(Status if_outermost);
  Status feed_after_value(char byte);
  Status feed_string(char byte);
  Status feed_number(char byte);
  Status end_number(char byte);
  Status go(State state);

  State state_ = State::value;
  State after_string_ = State::after_value;  // colon where the string is a key
  std::vector<char> open_;                   // brackets that are not closed yet
  std::string_view rest_;                    // of a literal
  int num_hex_left_ = 0;
};

bool is_json_space(char byte);

}  // namespace lmdeploy
