#include "text/call_object.h"

#include <nlohmann/json.hpp>
#include <utility>

namespace lmdeploy {
namespace {

using Json = nlohmann::ordered_json;

// Of a complete JSON string that was scanned; a lone surrogate is no text.
bool decode_string(const std::string& json, std::string& text) {
  const Json value = Json::parse(json, nullptr, /*allow_exceptions=*/false);
  if (!value.is_string()) return false;
  text = value.get<std::string>();
  return true;
}

bool is_object(const std::string& json) {
  return Json::parse(json, nullptr, /*allow_exceptions=*/false).is_object();
}

}  // namespace

CallObject CallObject::of_arguments(std::string name) {
  CallObject object;
  object.name_ = std::move(name);
  object.has_name_ = object.is_bare_ = true;
  object.field_ = Field::arguments;
  object.state_ = State::colon;  // where a value comes next
  return object;
}

CallObject::Status CallObject::feed(char byte, std::string& arguments) {
  const bool is_space = is_json_space(byte);
  switch (state_) {
    case State::open:
      if (is_space) return Status::more;
      state_ = State::first_key;
      return byte == '{' ? Status::more : Status::bad;
    case State::first_key:
    case State::key:
      if (is_space) return Status::more;
      if (byte != '"') return Status::bad;  // an object without a name is none either
      state_ = State::in_key;
      value_.clear();
      scanner_ = {};
      [[fallthrough]];
    case State::in_key:
      return feed_key(byte);
    case State::colon:
      if (is_space) return Status::more;
      return begin_value(byte, arguments);
    case State::in_value:
      return feed_value(byte, arguments);
    case State::after_value:
      break;
  }
  return is_space ? Status::more : feed_after_value(byte, arguments);
}

CallObject::Status CallObject::feed_key(char byte) {
  value_ += byte;
  const auto status = scanner_.feed(byte);
  if (status != JsonScanner::Status::done)
    return status == JsonScanner::Status::bad ? Status::bad : Status::more;
  std::string key;
  if (!decode_string(value_, key)) return Status::bad;
  const bool is_arguments = key == "arguments" || key == "parameters";
  field_ = key == "name" && !has_name_       ? Field::name
           : is_arguments && !has_arguments_ ? Field::arguments
                                             : Field::other;
  state_ = State::colon;
  value_.clear();
  return Status::more;
}

// A colon first, but for bare arguments.
CallObject::Status CallObject::begin_value(char byte, std::string& arguments) {
  if (!is_bare_ && !std::exchange(has_colon_, true)) return byte == ':' ? Status::more : Status::bad;
  has_colon_ = false;
  value_.clear();
  scanner_ = {};
  state_ = State::in_value;
  is_streamed_ = field_ == Field::arguments && byte == '{';
  has_arguments_ |= field_ == Field::arguments;
  return feed_value(byte, arguments);
}

CallObject::Status CallObject::add_arguments(std::string_view text, std::string& arguments) {
  if (!has_name_) {
    early_ += text;
    return Status::more;
  }
  arguments += early_;
  arguments += text;
  early_.clear();
  return std::exchange(has_begun_, true) ? Status::more : Status::begun;
}

CallObject::Status CallObject::feed_value(char byte, std::string& arguments) {
  const auto scanned = scanner_.feed(byte);
  if (scanned == JsonScanner::Status::bad) return Status::bad;
  const bool is_part = scanned != JsonScanner::Status::done_before;
  Status status = Status::more;
  if (is_streamed_)
    status = add_arguments({&byte, 1}, arguments);
  else if (is_part && field_ != Field::other)
    value_ += byte;
  if (scanned == JsonScanner::Status::more) return status;
  state_ = State::after_value;
  if (const Status ended = end_value(arguments); ended != Status::more) status = ended;
  if (status == Status::bad || is_part) return is_bare_ && status != Status::bad ? Status::done : status;
  return is_json_space(byte) ? status : feed_after_value(byte, arguments);
}

CallObject::Status CallObject::end_value(std::string& arguments) {
  if (field_ == Field::name) {
    if (!decode_string(value_, name_) || name_.empty()) return Status::bad;
    has_name_ = true;
    return has_arguments_ ? add_arguments("", arguments) : Status::more;
  }
  if (field_ == Field::other || is_streamed_) return Status::more;
  if (value_ == "null") return add_arguments("{}", arguments);
  std::string text;
  return decode_string(value_, text) && is_object(text) ? add_arguments(text, arguments) : Status::bad;
}

CallObject::Status CallObject::feed_after_value(char byte, std::string& arguments) {
  state_ = State::key;
  if (byte == ',') return Status::more;
  if (byte != '}' || !has_name_) return Status::bad;
  if (!has_arguments_) add_arguments("{}", arguments);
  return Status::done;
}

}  // namespace lmdeploy
