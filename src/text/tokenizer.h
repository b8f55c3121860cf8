#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lmdeploy {

using TokenId = std::int32_t;

// A prompt as a chat template rendered it. `plain` marks the bytes that came from a message's content: no
// special token is recognised in them, whatever their text.
struct RenderedPrompt {
  std::string text;
  struct Span {
    std::size_t begin;
    std::size_t end;
  };
  std::vector<Span> plain;  // ascending, disjoint
};

// tokenizer.json (Hugging Face tokenizers) or tokenizer.model (SentencePiece with tokenizer_config.json's
// added tokens). Immutable after load; all calls are safe from any thread.
class Tokenizer {
 public:
  // Throws Error where the folder has neither file or one is damaged.
  static std::unique_ptr<Tokenizer> load(const std::filesystem::path& folder);
  virtual ~Tokenizer() = default;

  // Text as Hugging Face reads it: added tokens are recognised. add_special_tokens: what the post-processor
  // or add_bos_token puts around (a BOS that the text already starts with is not doubled).
  virtual std::vector<TokenId> encode(std::string_view text, bool add_special_tokens) const = 0;
  // A rendered chat: the template's own text makes special tokens, the plain spans never. No BOS is added.
  virtual std::vector<TokenId> encode(const RenderedPrompt& prompt) const = 0;

  struct DecodeOptions {
    bool skip_special_tokens = true;
    bool spaces_between_special_tokens = true;
  };
  virtual std::string decode(std::span<const TokenId> ids, const DecodeOptions& options) const = 0;

  virtual std::int32_t vocab_size() const = 0;  // ids are below this
  virtual std::optional<TokenId> token_to_id(std::string_view token) const = 0;
  virtual std::string id_to_token(TokenId id) const = 0;  // as in the vocabulary; "" if there is none
  virtual bool is_special(TokenId id) const = 0;
  virtual std::vector<std::string> special_tokens() const = 0;  // texts of the special added tokens
  virtual std::optional<TokenId> bos_id() const = 0;
  virtual std::optional<TokenId> eos_id() const = 0;
};

}  // namespace lmdeploy
