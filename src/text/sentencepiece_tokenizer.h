#pragma once
// tokenizer.model. Private to text/: others use Tokenizer::load.
#include <array>
#include <functional>
#include <map>
#include <memory>

#include "text/tokenizer.h"
#include "text/tokenizer_config.h"

namespace sentencepiece {
class SentencePieceProcessor;
}

namespace lmdeploy {

// As transformers' slow tokenizers: the text is cut at added tokens, and SentencePiece encodes each stretch
// between them on its own.
class SentencePieceTokenizer final : public Tokenizer {
 public:
  // `model`: the file's bytes. Throws Error where they are no model.
  SentencePieceTokenizer(std::string_view model, const TokenizerConfig& config);
  ~SentencePieceTokenizer() override;

  std::vector<TokenId> encode(std::string_view text, bool add_special_tokens) const override;
  std::vector<TokenId> encode(const RenderedPrompt& prompt) const override;
  // With special tokens shown and spaces_between_special_tokens, added tokens and the texts between them are
  // joined with spaces, as in transformers.
  std::string decode(std::span<const TokenId> ids, const DecodeOptions& options) const override;
  std::int32_t vocab_size() const override { return vocab_size_; }
  std::optional<TokenId> token_to_id(std::string_view token) const override;
  std::string id_to_token(TokenId id) const override;
  bool is_special(TokenId id) const override;
  std::vector<std::string> special_tokens() const override;
  std::optional<TokenId> bos_id() const override { return bos_id_; }
  std::optional<TokenId> eos_id() const override { return eos_id_; }

 private:
  void add_named_tokens(const TokenizerConfig& config);
  std::optional<TokenId> piece_id(std::string_view piece) const;
  std::optional<TokenId> end_token(const TokenizerConfig& config, const std::string& name,
                                   int model_id) const;
  const AddedToken* added_token_at(const RenderedPrompt& prompt, std::size_t begin) const;
  void encode_stretch(std::string_view text, std::vector<TokenId>& ids) const;
  std::vector<TokenId> encode_stretches(const RenderedPrompt& prompt) const;

  std::unique_ptr<sentencepiece::SentencePieceProcessor> processor_;
  std::map<TokenId, AddedToken> added_tokens_;
  std::array<std::vector<const AddedToken*>, 256> by_first_byte_;  // longest first
  std::int32_t vocab_size_ = 0;
  std::optional<TokenId> bos_id_;
  std::optional<TokenId> eos_id_;
  // SentencePiece from 0.2 on encodes NUL as a byte though it is a piece; Debian's version does not yet.
  std::optional<TokenId> nul_piece_;
  std::optional<TokenId> nul_byte_;
  bool add_bos_ = false;
  bool add_eos_ = false;
};

}  // namespace lmdeploy
