#include <memory>
#include <string>

#include "base/error.h"
#include "base/log.h"
#include "text/sentencepiece_model.h"
#include "text/stream_decoder.h"
#include "text/tokenizer_json.h"

namespace {

void use(const lmdeploy::Tokenizer& tokenizer) {
  const std::string text = "the <s>cat</s>  \xE4\xBD\xA0\xF0\x9F\x98\x80 <|im_end|> 123\n";
  const auto ids = tokenizer.encode(text, true);
  for (const auto id : ids) CHECK(id >= 0 && id < tokenizer.vocab_size());
  tokenizer.encode({text, {{4, 12}}});
  const std::string whole = tokenizer.decode(ids, {});
  lmdeploy::StreamDecoder decoder(tokenizer, {});
  for (const auto id : ids) decoder.feed(id);
  decoder.finish();
}

}  // namespace

// The input is a tokenizer.json, and a tokenizer.model as far as we read it ourselves.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  const lmdeploy::TokenizerConfig config{
      .special_tokens = {{"bos_token", "<s>"}},
      .added_tokens = {{.content = "<|im_end|>", .id = 3, .special = true}},
      .add_bos_token = {},
      .add_eos_token = {},
      .chat_template = nullptr};
  lmdeploy::log::set_level(lmdeploy::log::level::off);
  try {
    lmdeploy::with_added_tokens(bytes, config.added_tokens);
  } catch (const lmdeploy::Error&) {
  }
  try {
    use(lmdeploy::TokenizerJson(bytes, config));
  } catch (const lmdeploy::Error&) {
  }
  return 0;
}
