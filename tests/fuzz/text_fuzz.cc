// A user's text through real tokenizers: ids of the vocabulary, no special token where the text is a user's,
// and a stream that adds up to the whole.
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"
#include "text/stream_decoder.h"
#include "text/tokenizer.h"

namespace {

using lmdeploy::TokenId;
using lmdeploy::Tokenizer;

// The server lets valid UTF-8 in only: what is not becomes ASCII.
std::string as_utf8(std::string_view bytes) {
  std::string text;
  for (std::size_t i = 0; i < bytes.size();) {
    const auto first = static_cast<std::uint8_t>(bytes[i]);
    const std::size_t len = first < 0x80                    ? 1
                            : first >= 0xC2 && first < 0xE0 ? 2
                            : first > 0xE0 && first < 0xED  ? 3
                                                            : 0;
    bool whole = len > 0 && i + len <= bytes.size();
    for (std::size_t j = 1; whole && j < len; ++j)
      whole = (static_cast<std::uint8_t>(bytes[i + j]) & 0xC0) == 0x80;
    if (whole)
      text += bytes.substr(i, len);
    else
      text += static_cast<char>(first & 0x7F);
    i += whole ? len : 1;
  }
  return text;
}

void use(const Tokenizer& tokenizer, const std::string& text) {
  const auto ids = tokenizer.encode(text, true);
  for (const TokenId id : ids) CHECK(id >= 0 && id < tokenizer.vocab_size());
  lmdeploy::StreamDecoder decoder(tokenizer, {});
  std::string streamed;
  for (const TokenId id : ids) streamed += decoder.feed(id);
  streamed += decoder.finish();
  CHECK(streamed == tokenizer.decode(ids, {}), "'{}' and '{}'", streamed, tokenizer.decode(ids, {}));
  if (text.empty()) return;
  for (const TokenId id : tokenizer.encode({text, {{0, text.size()}}}))
    CHECK(id >= 0 && id < tokenizer.vocab_size() && !tokenizer.is_special(id));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::array kTokenizers{
      Tokenizer::load(LMDEPLOY_SOURCE_DIR "/tests/golden/text/byte_level"),
      Tokenizer::load(LMDEPLOY_SOURCE_DIR "/tests/golden/text/byte_fallback"),
      Tokenizer::load(LMDEPLOY_SOURCE_DIR "/tests/golden/text/sentencepiece"),
      Tokenizer::load(LMDEPLOY_SOURCE_DIR "/tests/golden/text/sentencepiece_prefix"),
  };
  const std::string text = as_utf8({reinterpret_cast<const char*>(data), size});
  for (const auto& tokenizer : kTokenizers) use(*tokenizer, text);
  return 0;
}
