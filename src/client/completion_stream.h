#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "client/sse_parser.h"

namespace lmdeploy::client {

// One streamed answer of OpenAI's completions or chat API, read as a load generator reads hundreds at once:
// chunks are scanned for what they bring, and no document is built of them.
class CompletionStream {
 public:
  CompletionStream();
  CompletionStream(const CompletionStream&) = delete;  // the parser calls back into this
  CompletionStream& operator=(const CompletionStream&) = delete;

  // Returns how many chunks in these bytes brought text (an answer's, its reasoning's or a tool call's). The
  // role, a finish reason alone and the usage bring none.
  int feed(std::string_view bytes);

  const std::string& text() const noexcept { return text_; }
  bool done() const noexcept { return done_; }                  // [DONE] came, or a finish reason
  const std::string& error() const noexcept { return error_; }  // the server's words for a broken answer
  std::int64_t prompt_tokens() const noexcept { return prompt_tokens_; }          // -1: no usage came
  std::int64_t completion_tokens() const noexcept { return completion_tokens_; }  // -1: no usage came

 private:
  class Scanner;
  void event(const SseEvent& event);

  SseParser parser_;
  int num_outputs_ = 0;  // of the current feed()
  std::string text_;
  bool done_ = false;
  std::string error_;
  std::int64_t prompt_tokens_ = -1;
  std::int64_t completion_tokens_ = -1;
};

}  // namespace lmdeploy::client
