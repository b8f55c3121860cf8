#pragma once
#include <functional>
#include <string>
#include <string_view>

namespace lmdeploy::client {

struct SseEvent {
  std::string name;  // "message" where the stream gives none
  std::string data;  // lines joined by \n
};

// Server-sent events out of a byte stream that arrives in pieces of any size (the WHATWG's rules: \n, \r and
// \r\n end a line, a leading byte order mark and comments are skipped, an event without data is none).
class SseParser {
 public:
  explicit SseParser(std::function<void(const SseEvent&)> on_event) : on_event_(std::move(on_event)) {}

  void feed(std::string_view bytes);

 private:
  void line(std::string_view text);
  void dispatch();

  std::function<void(const SseEvent&)> on_event_;
  std::string line_;
  SseEvent event_;
  bool has_data_ = false;
  bool first_line_ = true;
  bool after_cr_ = false;  // a \n now belongs to the \r before it
};

}  // namespace lmdeploy::client
