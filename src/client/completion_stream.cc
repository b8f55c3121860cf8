#include "client/completion_stream.h"

#include <nlohmann/json.hpp>
#include <vector>

#include "client/error_message.h"

namespace lmdeploy::client {
namespace {

using Json = nlohmann::json;

// Where in a chunk the scanner stands. An array has the place of what it holds.
enum class Place : std::uint8_t { outside, chunk, choice, delta, tool_call, function, usage, other };

Place place_below(Place parent, std::string_view key) {
  switch (parent) {
    case Place::outside:
      return Place::chunk;
    case Place::chunk:
      return key == "choices" ? Place::choice : key == "usage" ? Place::usage : Place::other;
    case Place::choice:
      return key == "delta" ? Place::delta : Place::other;
    case Place::delta:
      return key == "tool_calls" ? Place::tool_call : Place::other;
    case Place::tool_call:
      return key == "function" ? Place::function : Place::other;
    default:
      return Place::other;
  }
}

bool brings_text(Place place, std::string_view key) {
  switch (place) {
    case Place::choice:
      return key == "text";
    case Place::delta:
      return key == "content" || key == "reasoning_content" || key == "reasoning";
    case Place::function:
      return key == "name" || key == "arguments";
    default:
      return false;
  }
}

}  // namespace

class CompletionStream::Scanner final : public nlohmann::json_sax<Json> {
 public:
  explicit Scanner(CompletionStream& stream) : stream_(stream) {}

  bool has_text() const { return has_text_; }
  bool has_error() const { return has_error_; }

  bool start_object(std::size_t) override { return enter(false); }
  bool end_object() override { return leave(); }
  bool start_array(std::size_t) override { return enter(true); }
  bool end_array() override { return leave(); }
  bool key(string_t& name) override {
    key_ = std::move(name);
    return true;
  }
  bool string(string_t& value) override {
    if (value.empty()) return true;
    if (brings_text(place(), key_)) {
      stream_.text_ += value;
      has_text_ = true;
    }
    if (place() == Place::choice && key_ == "finish_reason") stream_.done_ = true;
    if (place() == Place::chunk && key_ == "error") has_error_ = true;
    return true;
  }
  bool number_unsigned(number_unsigned_t value) override {
    if (place() == Place::usage && key_ == "prompt_tokens")
      stream_.prompt_tokens_ = static_cast<std::int64_t>(value);
    if (place() == Place::usage && key_ == "completion_tokens")
      stream_.completion_tokens_ = static_cast<std::int64_t>(value);
    return true;
  }
  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception&) override {
    return false;
  }

 private:
  struct Level {
    Place place;
    bool is_array;
  };
  Place place() const { return levels_.back().place; }
  bool enter(bool is_array) {
    if (place() == Place::chunk && key_ == "error") has_error_ = true;
    levels_.push_back({levels_.back().is_array ? place() : place_below(place(), key_), is_array});
    return true;
  }
  bool leave() {
    levels_.pop_back();
    return true;
  }

  CompletionStream& stream_;
  std::vector<Level> levels_{{Place::outside, false}};
  std::string key_;
  bool has_text_ = false;
  bool has_error_ = false;
};

CompletionStream::CompletionStream() : parser_([this](const SseEvent& event) { this->event(event); }) {}

int CompletionStream::feed(std::string_view bytes) {
  num_outputs_ = 0;
  parser_.feed(bytes);
  return num_outputs_;
}

void CompletionStream::event(const SseEvent& event) {
  if (event.data == "[DONE]") {
    done_ = true;
    return;
  }
  Scanner scanner(*this);
  if (!Json::sax_parse(event.data, &scanner)) {
    if (error_.empty()) error_ = "the server sent an event that is no JSON";
  } else if (event.name == "error" || scanner.has_error()) {
    error_ = error_message(event.data);
  } else if (scanner.has_text()) {
    ++num_outputs_;
  }
}

}  // namespace lmdeploy::client
