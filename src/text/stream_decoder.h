#pragma once
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "text/stop_matcher.h"
#include "text/tokenizer.h"

namespace lmdeploy {

struct StreamDecoderOptions {
  Tokenizer::DecodeOptions decode = {};
  std::vector<std::string> stop = {};  // stop strings of any length, none empty
  bool include_stop_str_in_output = false;
  // Special tokens whose text shows though skip_special_tokens hides the others.
  std::vector<TokenId> shown_tokens = {};
  // The last tokens before the text, which goes on where theirs ends: a word keeps the space before it.
  // Empty: the text begins by itself.
  std::vector<TokenId> context = {};
};

// Tokens in, text out: the pieces add up to the decoding of all tokens, cut before the first stop string. A
// piece never ends inside a UTF-8 character, and text that may be the beginning of a stop string is held back
// until it is not.
class StreamDecoder {
 public:
  StreamDecoder(const Tokenizer& tokenizer, StreamDecoderOptions options);

  // Text that is certain now, possibly empty. After stopped() it is always empty.
  std::string feed(TokenId token);
  // What was held back, once no token follows. An unfinished character becomes U+FFFD.
  std::string finish();
  bool stopped() const noexcept { return stopped_; }                        // a stop string was met
  const std::string& stop_string() const noexcept { return stop_string_; }  // that one
  // Characters of the text that are certain so far, given out or held back.
  std::int64_t num_chars() const noexcept { return num_chars_; }

 private:
  bool is_left_out(TokenId token) const;
  bool is_shown(TokenId token) const;
  std::string feed_shown(TokenId token);
  void settle(std::string_view text, std::size_t num_certain);
  void settle_all();
  void shorten_window(std::string_view text);
  std::string release(bool all);

  const Tokenizer& tokenizer_;
  StreamDecoderOptions options_;
  std::vector<TokenId> window_;  // the last tokens: enough context to decode the next one
  std::size_t num_settled_ = 0;  // bytes of the window's text that went to pending_ or were there before it
  std::string pending_;          // settled text that may begin a stop string
  StopMatcher stops_;
  std::size_t num_matched_ = 0;  // bytes of pending_ that the matcher has seen
  std::int64_t num_chars_ = 0;
  bool stopped_ = false;
  std::string stop_string_;
};

}  // namespace lmdeploy
