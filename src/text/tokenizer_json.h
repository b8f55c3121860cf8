#pragma once
// tokenizer.json. Private to text/: others use Tokenizer::load.
#include "text/rust_bridge.h"
#include "text/tokenizer.h"
#include "text/tokenizer_config.h"

namespace lmdeploy {

class TokenizerJson final : public Tokenizer {
 public:
  // `json`: the file's bytes. Throws Error where they are no tokenizer.
  TokenizerJson(std::string_view json, const TokenizerConfig& config);

  std::vector<TokenId> encode(std::string_view text, bool add_special_tokens) const override;
  std::vector<TokenId> encode(const RenderedPrompt& prompt) const override;
  std::string decode(std::span<const TokenId> ids, const DecodeOptions& options) const override;
  std::int32_t vocab_size() const override { return vocab_size_; }
  std::optional<TokenId> token_to_id(std::string_view token) const override;
  std::string id_to_token(TokenId id) const override;
  bool is_special(TokenId id) const override;
  std::vector<std::string> special_tokens() const override { return special_tokens_; }
  std::optional<TokenId> bos_id() const override { return bos_id_; }
  std::optional<TokenId> eos_id() const override { return eos_id_; }

 private:
  void read_description();
  void check_post_processor() const;
  std::vector<TokenId> with_bos_and_eos(std::vector<TokenId> ids) const;

  rust::Tokenizer inner_;
  std::int32_t vocab_size_ = 0;
  std::vector<TokenId> special_ids_;  // ascending
  std::vector<std::string> special_tokens_;
  std::optional<TokenId> bos_id_;
  std::optional<TokenId> eos_id_;
  // As in transformers, these replace the file's post-processor where tokenizer_config.json names one of
  // them.
  bool config_decides_ends_ = false;
  bool add_bos_ = false;
  bool add_eos_ = false;
};

}  // namespace lmdeploy
