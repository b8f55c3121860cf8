#pragma once
// A vocabulary small enough to try every token: the printing characters of ASCII, a few pairs and triples of
// them, and special tokens.
#include <algorithm>
#include <string>
#include <vector>

#include "text/tokenizer.h"

namespace lmdeploy::testing {

class ToyTokenizer final : public Tokenizer {
 public:
  ToyTokenizer() {
    for (char c = ' '; c <= '~'; c++) tokens_.emplace_back(1, c);
    tokens_.insert(tokens_.end(),
                   {"\n", "ab", "bc", "abc", "a(", ",b", "\"a", "b\"", "//", "cc", "ull", "1,"});
    first_special_ = std::ssize(tokens_);
    tokens_.insert(tokens_.end(), {"<|tool|>", "<|end|>", "</s>"});
  }

  // None but single characters.
  std::vector<TokenId> encode_characters(std::string_view text) const {
    std::vector<TokenId> ids;
    for (const char c : text) ids.push_back(token_to_id(std::string(1, c)).value());
    return ids;
  }

  std::vector<TokenId> encode(std::string_view text, bool) const override { return encode_characters(text); }
  std::vector<TokenId> encode(const RenderedPrompt& prompt) const override {
    return encode(prompt.text, false);
  }
  std::string decode(std::span<const TokenId> ids, const DecodeOptions&) const override {
    std::string text;
    for (const TokenId id : ids) text += id_to_token(id);
    return text;
  }
  std::int32_t vocab_size() const override { return static_cast<std::int32_t>(tokens_.size()); }
  std::optional<TokenId> token_to_id(std::string_view token) const override {
    const auto found = std::ranges::find(tokens_, token);
    if (found == tokens_.end()) return std::nullopt;
    return static_cast<TokenId>(found - tokens_.begin());
  }
  std::string id_to_token(TokenId id) const override { return tokens_.at(static_cast<std::size_t>(id)); }
  bool is_special(TokenId id) const override { return id >= first_special_; }
  std::vector<std::string> special_tokens() const override {
    return {tokens_.begin() + first_special_, tokens_.end()};
  }
  std::optional<TokenId> bos_id() const override { return std::nullopt; }
  std::optional<TokenId> eos_id() const override { return vocab_size() - 1; }

 private:
  std::vector<std::string> tokens_;
  std::ptrdiff_t first_special_ = 0;
};

}  // namespace lmdeploy::testing
