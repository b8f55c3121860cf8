#include "text/tool_calls.h"

#include <algorithm>

namespace lmdeploy {
namespace {

using Shape = ToolFormat::Shape;

// An end marker that stands alone is left out of the content behind a call, a hidden marker everywhere.
std::vector<std::string> sought_markers(const ToolCallOptions& options) {
  std::vector<std::string> markers{std::string(options.format->begin)};
  if (!options.format->end.empty()) markers.emplace_back(options.format->end);
  for (const std::string& marker : options.hidden)
    if (std::ranges::find(markers, marker) == markers.end()) markers.push_back(marker);
  return markers;
}

bool is_name_byte(char byte) {
  return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') ||
         byte == '_' || byte == '-';
}

// What is left of `text` behind NAME or NAME[CALL_ID]ID.
std::string_view behind_name(std::string_view text) {
  constexpr std::string_view kCallId = "[CALL_ID]";
  const auto skip_name = [&] {
    while (!text.empty() && is_name_byte(text.front())) text.remove_prefix(1);
  };
  skip_name();
  if (!text.starts_with(kCallId)) return kCallId.starts_with(text) ? "" : text;
  text.remove_prefix(kCallId.size());
  skip_name();
  return text;
}

// NAME, NAME[ARGS] or NAME[CALL_ID]ID[ARGS]
constexpr std::string_view kArgs = "[ARGS]";
bool begins_name(std::string_view text) {
  return kArgs.starts_with(behind_name(text));
}
bool is_whole_name(std::string_view text) {
  return text.ends_with(kArgs) || text.find('[') == text.npos;
}

}  // namespace

ToolCallParser::ToolCallParser(ToolCallOptions options)
    : options_(std::move(options)),
      markers_(sought_markers(options_)),
      finder_(markers_),
      state_(options_.format->shape == Shape::bare ? State::start : State::content) {}

bool ToolCallParser::is_hidden(std::string_view marker) const {
  return std::ranges::find(options_.hidden, marker) != options_.hidden.end();
}

bool ToolCallParser::is_known(const std::string& name) const {
  return std::ranges::find(options_.names, name) != options_.names.end();
}

ToolCallParser::Pieces ToolCallParser::feed(std::string_view text) {
  Pieces pieces;
  for (const char byte : text)
    if (!is_satisfied()) feed(byte, pieces);
  return pieces;
}

void ToolCallParser::feed(char byte, Pieces& pieces) {
  switch (state_) {
    case State::start:
      return feed_start(byte, pieces);
    case State::content:
      return feed_content(byte, pieces);
    case State::header:
      return feed_header(byte, pieces);
    case State::list_start:
      return feed_list_start(byte, pieces);
    case State::name:
      return feed_name(byte, pieces);
    case State::object:
      return feed_object(byte, pieces);
    case State::behind:
      return feed_behind(byte, pieces);
  }
}

void ToolCallParser::add_content(std::string_view text, Pieces& pieces) {
  for (const char byte : text) {
    space_ += byte;
    if (!is_json_space(byte)) pieces.content += std::exchange(space_, {});
  }
}

void ToolCallParser::feed_start(char byte, Pieces& pieces) {
  if (is_json_space(byte)) {
    space_ += byte;
    return;
  }
  state_ = State::content;
  if (byte != '{') return feed_content(byte, pieces);
  begin_call("");
  begin_object({});
  feed_object(byte, pieces);
}

void ToolCallParser::feed_content(char byte, Pieces& pieces) {
  std::string text;
  const auto found = finder_.feed(byte, text);
  add_content(text, pieces);
  if (!found) return;
  const std::string& marker = markers_[*found];
  if (*found == 0)
    begin_call(marker);
  else if (!is_hidden(marker) && num_calls_ == 0)
    add_content(marker, pieces);
}

void ToolCallParser::begin_call(std::string_view marker) {
  raw_ = is_hidden(marker) ? "" : marker;
  header_.clear();
  in_list_ = false;
  state_ = options_.format->shape == Shape::list ? State::list_start : State::header;
}

void ToolCallParser::begin_object(CallObject object) {
  object_ = std::move(object);
  state_ = State::object;
}

// What was taken for a call is content.
void ToolCallParser::give_up(Pieces& pieces) {
  state_ = State::content;
  add_content(std::exchange(raw_, {}), pieces);
}

void ToolCallParser::give_up_and_feed(char byte, Pieces& pieces) {
  give_up(pieces);
  feed_content(byte, pieces);
}

void ToolCallParser::feed_header(char byte, Pieces& pieces) {
  const std::string_view header = options_.format->header;
  if (header_.size() == header.size()) {
    begin_object({});
    return feed_object(byte, pieces);
  }
  if (header_.empty() && is_json_space(byte)) {
    raw_ += byte;
    return;
  }
  if (header[header_.size()] == byte) {
    header_ += byte;
    if (header_.size() < header.size()) return;
    if (!is_hidden(header)) raw_ += header;
    return;
  }
  raw_ += header_;
  give_up_and_feed(byte, pieces);
}

void ToolCallParser::feed_list_start(char byte, Pieces& pieces) {
  if (is_json_space(byte)) {
    raw_ += byte;
  } else if (byte == '[' && !in_list_) {
    raw_ += byte;
    in_list_ = true;
  } else if (byte == '{') {
    begin_object({});
    feed_object(byte, pieces);
  } else if (is_name_byte(byte) && !in_list_) {
    state_ = State::name;
    feed_name(byte, pieces);
  } else {
    give_up_and_feed(byte, pieces);
  }
}

void ToolCallParser::feed_name(char byte, Pieces& pieces) {
  if (byte == '{' && is_whole_name(header_)) {
    begin_object(CallObject::of_arguments(header_.substr(0, header_.find('['))));
    return feed_object(byte, pieces);
  }
  if (!is_json_space(byte)) {
    if (!begins_name(header_ + byte)) return give_up_and_feed(byte, pieces);
    header_ += byte;
  }
  raw_ += byte;
}

void ToolCallParser::feed_object(char byte, Pieces& pieces) {
  const bool had_begun = object_.has_begun();
  std::string arguments;
  const CallObject::Status status = object_.feed(byte, arguments);
  const bool begins = !had_begun && object_.has_begun();
  if (status == CallObject::Status::bad || (begins && !is_known(object_.name())))
    return give_up_and_feed(byte, pieces);
  if (!object_.has_begun()) {
    raw_ += byte;
    return;
  }
  if (begins) {
    raw_.clear();
    space_.clear();
    pieces.calls.push_back({.call_idx = num_calls_++, .name = object_.name(), .arguments = {}});
  }
  add_arguments(arguments, pieces);
  if (status != CallObject::Status::done) return;
  ++num_whole_;
  header_.clear();
  state_ = State::behind;
}

void ToolCallParser::add_arguments(const std::string& text, Pieces& pieces) {
  if (text.empty()) return;
  if (pieces.calls.empty() || pieces.calls.back().call_idx != num_calls_ - 1)
    pieces.calls.push_back({.call_idx = num_calls_ - 1, .name = {}, .arguments = {}});
  pieces.calls.back().arguments += text;
}

void ToolCallParser::feed_behind(char byte, Pieces& pieces) {
  const Shape shape = options_.format->shape;
  if (is_json_space(byte)) return;
  if (shape == Shape::bare && (byte == ';' || byte == ',')) {
    begin_call({&byte, 1});
  } else if (shape == Shape::bare && byte == '{') {
    begin_call("");
    begin_object({});
    feed_object(byte, pieces);
  } else if (in_list_ && byte == ',') {
    raw_.assign(1, byte);
    state_ = State::list_start;
  } else if (in_list_ && byte == ']') {
    in_list_ = false;
  } else {
    state_ = State::content;
    feed_content(byte, pieces);
  }
}

ToolCallParser::Pieces ToolCallParser::finish() {
  Pieces pieces;
  if (is_satisfied()) return pieces;
  switch (state_) {
    case State::start:
    case State::behind:
      break;
    case State::content:
      add_content(finder_.take_held(), pieces);
      break;
    case State::header:
      if (header_.size() < options_.format->header.size()) raw_ += header_;
      [[fallthrough]];
    default:
      if (state_ != State::object || !object_.has_begun()) give_up(pieces);
  }
  if (num_calls_ == 0) pieces.content += std::exchange(space_, {});
  return pieces;
}

}  // namespace lmdeploy
