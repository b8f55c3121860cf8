#include "text/stream_decoder.h"

#include <algorithm>

#include "base/error.h"

namespace lmdeploy {

namespace {

constexpr std::string_view replacement = "\xEF\xBF\xBD";  // U+FFFD
// An unfinished character is at most three bytes, each of which a decoder may show as U+FFFD.
constexpr int max_unfinished = 3;

// Tokens of context that are kept, and how many more make it worth while to drop the older ones.
constexpr std::size_t min_window_len = 6;
constexpr std::size_t max_window_len = 16;

// Without the U+FFFDs at its end that may yet become a character.
std::size_t certain_len(std::string_view text) {
  for (int i = 0; i < max_unfinished && text.ends_with(replacement); ++i)
    text.remove_suffix(replacement.size());
  return text.size();
}

// Without the U+FFFDs at its beginning, which may be the rest of a character that begins before it.
std::string_view without_cut_character(std::string_view text) {
  for (int i = 0; i < max_unfinished && text.starts_with(replacement); ++i)
    text.remove_prefix(replacement.size());
  return text;
}

struct StopMatch {
  std::size_t begin;
  std::size_t end;
};

// The stop string that is complete first as the text grows byte by byte; of two, the longer.
std::optional<StopMatch> first_stop(std::string_view text, const std::vector<std::string>& stops) {
  std::optional<StopMatch> first;
  for (const auto& stop : stops) {
    const std::size_t begin = text.find(stop);
    if (begin == std::string_view::npos) continue;
    const StopMatch match{begin, begin + stop.size()};
    if (!first || match.end < first->end || (match.end == first->end && match.begin < first->begin))
      first = match;
  }
  return first;
}

// How many bytes at the end of `text` are a beginning of some stop string.
std::size_t held_len(std::string_view text, const std::vector<std::string>& stops) {
  std::size_t held = 0;
  for (const auto& stop : stops) {
    for (std::size_t len = std::min(stop.size() - 1, text.size()); len > held; --len)
      if (text.ends_with(std::string_view(stop).substr(0, len))) held = len;
  }
  return held;
}

}  // namespace

StreamDecoder::StreamDecoder(const Tokenizer& tokenizer, StreamDecoderOptions options)
    : tokenizer_(tokenizer), options_(std::move(options)) {
  for (const auto& stop : options_.stop) CHECK(!stop.empty(), "an empty stop string");
}

std::string StreamDecoder::feed(TokenId token) {
  if (stopped_) return {};
  const bool left_out = options_.decode.skip_special_tokens && tokenizer_.is_special(token);
  if (left_out || tokenizer_.id_to_token(token).empty()) return {};
  window_.push_back(token);
  const std::string text = tokenizer_.decode(window_, options_.decode);
  settle(text, certain_len(text));
  shorten_window(text);
  return release(/*all=*/false);
}

std::string StreamDecoder::finish() {
  if (stopped_) return {};
  const std::string text = tokenizer_.decode(window_, options_.decode);
  settle(text, text.size());
  return release(/*all=*/true);
}

void StreamDecoder::settle(std::string_view text, std::size_t num_certain) {
  if (num_certain <= num_settled_) return;
  pending_ += text.substr(num_settled_, num_certain - num_settled_);
  num_settled_ = num_certain;
}

// Decoders look at the tokens around (a space before the first word is dropped, bytes make a character), so
// the shorter window must show the end of the same text.
void StreamDecoder::shorten_window(std::string_view text) {
  if (window_.size() <= max_window_len) return;
  const std::size_t num_unsettled = text.size() - num_settled_;
  for (std::size_t len = min_window_len; len < max_window_len; ++len) {
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
  if (const auto stop = first_stop(pending_, options_.stop)) {
    stopped_ = true;
    len = options_.include_stop_str_in_output ? stop->end : stop->begin;
  } else {
    len = all ? pending_.size() : pending_.size() - held_len(pending_, options_.stop);
  }
  std::string released = pending_.substr(0, len);
  pending_.erase(0, stopped_ ? pending_.size() : len);
  return released;
}

}  // namespace lmdeploy
