#include "client/sse_parser.h"

#include <algorithm>
#include <utility>

namespace lmdeploy::client {

void SseParser::feed(std::string_view bytes) {
  while (!bytes.empty()) {
    if (std::exchange(after_cr_, false) && bytes.front() == '\n') {
      bytes.remove_prefix(1);
      continue;
    }
    const auto end = std::find_if(bytes.begin(), bytes.end(), [](char c) { return c == '\n' || c == '\r'; });
    const auto num_bytes = static_cast<std::size_t>(end - bytes.begin());
    line_.append(bytes.data(), num_bytes);
    if (end == bytes.end()) return;
    after_cr_ = *end == '\r';
    bytes.remove_prefix(num_bytes + 1);
    line(line_);
    line_.clear();
  }
}

void SseParser::line(std::string_view text) {
  if (first_line_ && text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  first_line_ = false;
  if (text.empty()) return dispatch();
  const std::size_t colon = text.find(':');
  const std::string_view field = text.substr(0, colon);
  std::string_view value = colon == std::string_view::npos ? std::string_view{} : text.substr(colon + 1);
  if (value.starts_with(' ')) value.remove_prefix(1);
  if (field == "event") event_.name = value;
  if (field == "data") {
    if (has_data_) event_.data += '\n';
    event_.data += value;
    has_data_ = true;
  }
}

void SseParser::dispatch() {
  if (has_data_) {
    if (event_.name.empty()) event_.name = "message";
    on_event_(event_);
  }
  event_ = {};
  has_data_ = false;
}

}  // namespace lmdeploy::client
