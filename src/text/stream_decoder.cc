#include "text/stream_decoder.h"

#include <algorithm>

#include "text/characters.h"

namespace lmdeploy {

namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD
// An unfinished character is at most three bytes, each of which a decoder may show as U+FFFD.
constexpr int kMaxUnfinished = 3;

// Tokens of context that are kept, and how many more make it worth while to drop the older ones.
constexpr std::size_t kMinWindowLen = 6;
constexpr std::size_t kMaxWindowLen = 16;

// Without the U+FFFDs at its end that may yet become a character.
std::size_t certain_len(std::string_view text) {
  for (int i = 0; i < kMaxUnfinished && text.ends_with(kReplacement); ++i)
    text.remove_suffix(kReplacement.size());
  return text.size();
}

// Without the U+FFFDs at its beginning, which may be the rest of a character that begins before it.
std::string_view without_cut_character(std::string_view text) {
  for (int i = 0; i < kMaxUnfinished && text.starts_with(kReplacement); ++i)
    text.remove_prefix(kReplacement.size());
  return text;
}

}  // namespace

StreamDecoder::StreamDecoder(const Tokenizer& tokenizer, StreamDecoderOptions options)
    : tokenizer_(tokenizer), options_(std::move(options)), stops_(options_.stop) {
  for (const TokenId token : options_.context)
    if (!is_left_out(token)) window_.push_back(token);
  if (!window_.empty()) num_settled_ = certain_len(tokenizer_.decode(window_, options_.decode));
}

bool StreamDecoder::is_left_out(TokenId token) const {
  return (options_.decode.skip_special_tokens && tokenizer_.is_special(token)) ||
         tokenizer_.id_to_token(token).empty();
}

bool StreamDecoder::is_shown(TokenId token) const {
  return std::ranges::find(options_.shown_tokens, token) != options_.shown_tokens.end();
}

std::string StreamDecoder::feed(TokenId token) {
  if (stopped_) return {};
  if (options_.decode.skip_special_tokens && is_shown(token)) return feed_shown(token);
  if (is_left_out(token)) return {};
  window_.push_back(token);
  const std::string text = tokenizer_.decode(window_, options_.decode);
  settle(text, certain_len(text));
  shorten_window(text);
  return release(/*all=*/false);
}

// A text ends before it, and another one begins behind it.
std::string StreamDecoder::feed_shown(TokenId token) {
  settle_all();
  window_.clear();
  num_settled_ = 0;
  const std::string name = tokenizer_.id_to_token(token);
  pending_ += name;
  num_chars_ += count_chars(name);
  return release(/*all=*/false);
}

std::string StreamDecoder::finish() {
  if (stopped_) return {};
  settle_all();
  return release(/*all=*/true);
}

void StreamDecoder::settle_all() {
  const std::string text = tokenizer_.decode(window_, options_.decode);
  settle(text, text.size());
}

void StreamDecoder::settle(std::string_view text, std::size_t num_certain) {
  if (num_certain <= num_settled_) return;
  const std::string_view settled = text.substr(num_settled_, num_certain - num_settled_);
  pending_ += settled;
  num_chars_ += count_chars(settled);
  num_settled_ = num_certain;
}

// Decoders look at the tokens around (a space before the first word is dropped, bytes make a character), so
// the shorter window must show the end of the same text.
void StreamDecoder::shorten_window(std::string_view text) {
  if (window_.size() <= kMaxWindowLen) return;
  const std::size_t num_unsettled = text.size() - num_settled_;
  for (std::size_t len = kMinWindowLen; len < kMaxWindowLen; ++len) {
    const std::string tail = tokenizer_.decode(std::span(window_).last(len), options_.decode);
    const std::string_view sound = without_cut_character(tail);
    if (sound.empty() || num_unsettled > sound.size() || !text.ends_with(sound)) continue;
    num_settled_ = tail.size() - num_unsettled;
    window_.erase(window_.begin(), window_.end() - static_cast<std::ptrdiff_t>(len));
    return;
  }
}

std::string StreamDecoder::release(bool all) {
  std::size_t len = 0;
  if (const auto stop = stops_.feed(std::string_view(pending_).substr(num_matched_))) {
    stopped_ = true;
    const std::size_t end = num_matched_ + stop->end;
    stop_string_ = pending_.substr(end - stop->stop_len, stop->stop_len);
    len = options_.include_stop_str_in_output ? end : end - stop->stop_len;
  } else {
    len = all ? pending_.size() : pending_.size() - stops_.held_len();
  }
  std::string released = pending_.substr(0, len);
  pending_.erase(0, stopped_ ? pending_.size() : len);
  num_matched_ = pending_.size();
  return released;
}

}  // namespace lmdeploy
