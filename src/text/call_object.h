#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "text/json_scanner.h"

namespace lmdeploy {

// Reads {"name": "add", "arguments": {...}} byte by byte; "parameters" is another name of "arguments". The
// keys come in any order, others are passed over. Arguments are an object, or a string that holds one; null
// and none count as {}.
class CallObject {
 public:
  enum class Status : std::uint8_t {
    more,
    begun,  // the name is known, and the arguments have begun: all of them that there are is in `arguments`
    done,   // the object ends with this byte
    bad     // it is no such object
  };
  // Arguments that came with this byte are appended to `arguments`, from `begun` on.
  Status feed(char byte, std::string& arguments);

  // For a form in which a name comes first and bare arguments behind it: reads the arguments only.
  static CallObject of_arguments(std::string name);

  const std::string& name() const { return name_; }  // "" until it is known
  bool has_begun() const { return has_begun_; }

 private:
  enum class State : std::uint8_t { open, first_key, key, in_key, colon, in_value, after_value };
  enum class Field : std::uint8_t { name, arguments, other };

  Status begin_value(char byte, std::string& arguments);
  Status feed_key(char byte);
  Status feed_value(char byte, std::string& arguments);
  Status end_value(std::string& arguments);
  Status feed_after_value(char byte, std::string& arguments);
  Status add_arguments(std::string_view text, std::string& arguments);

  State state_ = State::open;
  Field field_ = Field::other;
  JsonScanner scanner_;
  std::string value_;  // of a key, a name, or arguments that are no object
  std::string name_;
  std::string early_;  // arguments that came before the name
  bool has_name_ = false;
  bool has_arguments_ = false;
  bool has_begun_ = false;
  bool has_colon_ = false;
  bool is_streamed_ = false;  // this value is an object of arguments
  bool is_bare_ = false;      // only the arguments
};

}  // namespace lmdeploy
