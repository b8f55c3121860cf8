#include "text/tokenizer_json.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/log.h"

namespace lmdeploy {

namespace {

// Tokens that the configuration calls added or special and that tokenizer.json may not have as such.
std::string extra_tokens(const TokenizerConfig& config) {
  auto tokens = nlohmann::json::array();
  const auto add = [&](const AddedToken& token) {
    tokens.push_back({{"content", token.content},
                      {"special", token.special},
                      {"lstrip", token.lstrip},
                      {"rstrip", token.rstrip},
                      {"single_word", token.single_word},
                      {"normalized", token.normalized}});
  };
  for (const auto& token : config.added_tokens) add(token);
  for (const auto& [name, content] : config.special_tokens)
    add({.content = content, .id = {}, .special = true});
  return tokens.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace

TokenizerJson::TokenizerJson(std::string_view json, const TokenizerConfig& config)
    : inner_(json, extra_tokens(config)) {
  read_description();
  check_post_processor();
  bos_id_ = token_to_id(config.special_token("bos_token"));
  eos_id_ = token_to_id(config.special_token("eos_token"));
  config_decides_ends_ = config.add_bos_token || config.add_eos_token;
  add_bos_ = config.add_bos_token.value_or(false) && bos_id_;
  add_eos_ = config.add_eos_token.value_or(false) && eos_id_;
}

void TokenizerJson::read_description() {
  const auto description = nlohmann::json::parse(inner_.describe());
  const auto vocab_size = description.at("vocab_size").get<std::int64_t>();
  if (vocab_size > INT32_MAX)
    throw Error(fmt::format("the vocabulary has ids up to {}", vocab_size - 1), "Ids must be below 2^31.");
  vocab_size_ = static_cast<std::int32_t>(vocab_size);
  for (const auto& [id, content] :
       description.at("special").get<std::vector<std::pair<TokenId, std::string>>>()) {
    special_ids_.push_back(id);
    special_tokens_.push_back(content);
  }
  const int missing = description.at("missing_bytes").get<int>();
  if (missing > 0)
    log::warn("The tokenizer's vocabulary lacks {} of the 256 bytes: text that needs them loses characters.",
              missing);
}

// The ids that a post-processor puts around a text stand in the file by themselves, beside the vocabulary.
void TokenizerJson::check_post_processor() const {
  for (const TokenId id : inner_.encode("", true))
    if (id < 0 || id >= vocab_size_)
      throw Error(
          fmt::format("tokenizer.json: its post_processor adds id {}, but the vocabulary has ids below {}",
                      id, vocab_size_),
          "The file is damaged or belongs to another model; fetch it again.");
}

std::vector<TokenId> TokenizerJson::with_bos_and_eos(std::vector<TokenId> ids) const {
  if (add_bos_) ids.insert(ids.begin(), *bos_id_);
  if (add_eos_) ids.push_back(*eos_id_);
  return ids;
}

std::vector<TokenId> TokenizerJson::encode(std::string_view text, bool add_special_tokens) const {
  if (!add_special_tokens) return inner_.encode(text, false);
  auto ids = config_decides_ends_ ? with_bos_and_eos(inner_.encode(text, false)) : inner_.encode(text, true);
  const bool doubled = bos_id_ && ids.size() >= 2 && ids[0] == *bos_id_ && ids[1] == *bos_id_;
  if (doubled) ids.erase(ids.begin());
  return ids;
}

std::vector<TokenId> TokenizerJson::encode(const RenderedPrompt& prompt) const {
  std::vector<rust::ByteSpan> plain;
  for (const auto& span : prompt.plain) plain.emplace_back(span.begin, span.end);
  return inner_.encode_rendered(prompt.text, plain);
}

std::string TokenizerJson::decode(std::span<const TokenId> ids, const DecodeOptions& options) const {
  return inner_.decode(ids, options.skip_special_tokens);
}

std::optional<TokenId> TokenizerJson::token_to_id(std::string_view token) const {
  const std::int64_t id = token.empty() ? -1 : inner_.token_to_id(token);
  return id < 0 ? std::nullopt : std::optional(static_cast<TokenId>(id));
}

std::string TokenizerJson::id_to_token(TokenId id) const {
  return id < 0 ? "" : inner_.id_to_token(id);
}

bool TokenizerJson::is_special(TokenId id) const {
  return std::ranges::binary_search(special_ids_, id);
}

}  // namespace lmdeploy
