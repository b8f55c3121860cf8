#include "text/sentencepiece_tokenizer.h"

#include <sentencepiece_processor.h>

#include <algorithm>

#include "base/error.h"
#include "base/log.h"
#include "text/sentencepiece_model.h"

namespace lmdeploy {

namespace {

bool is_space(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}

std::string_view without_spaces_at_end(std::string_view text) {
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

bool touches(const std::vector<RenderedPrompt::Span>& spans, std::size_t begin, std::size_t end) {
  const auto first = std::ranges::partition_point(spans, [&](const auto& span) { return span.end <= begin; });
  return first != spans.end() && first->begin < end;
}

void require_ok(const sentencepiece::util::Status& status) {
  if (!status.ok()) throw Error(status.ToString());
}

}  // namespace

SentencePieceTokenizer::SentencePieceTokenizer(std::string_view model, const TokenizerConfig& config)
    : processor_(std::make_unique<sentencepiece::SentencePieceProcessor>()) {
  require_ok(processor_->LoadFromSerializedProto(with_added_tokens(model, config.added_tokens)));
  vocab_size_ = processor_->GetPieceSize();
  for (const auto& token : config.added_tokens) {
    added_tokens_.insert_or_assign(*token.id, token);
    vocab_size_ = std::max(vocab_size_, *token.id + 1);
  }
  add_named_tokens(config);
  for (const auto& [id, token] : added_tokens_)
    by_first_byte_[static_cast<unsigned char>(token.content[0])].push_back(&token);
  for (auto& tokens : by_first_byte_)
    std::ranges::sort(tokens, std::ranges::greater(),
                      [](const AddedToken* token) { return token->content.size(); });
  if (!piece_id("<0x00>"))
    log::warn("The tokenizer's vocabulary has no bytes: a character that it lacks becomes an unknown token.");
  nul_piece_ = piece_id(std::string_view("\0", 1));
  if (nul_piece_) nul_byte_ = piece_id("<0x00>");
  bos_id_ = end_token(config, "bos_token", processor_->bos_id());
  eos_id_ = end_token(config, "eos_token", processor_->eos_id());
  // The classes that read tokenizer.model (Llama's, InternLM2's) put a BOS unless they are told not to.
  add_bos_ = bos_id_ && config.add_bos_token.value_or(true);
  add_eos_ = eos_id_ && config.add_eos_token.value_or(false);
}

SentencePieceTokenizer::~SentencePieceTokenizer() = default;

// bos_token and the like are added tokens even where added_tokens_decoder does not list them.
void SentencePieceTokenizer::add_named_tokens(const TokenizerConfig& config) {
  for (const auto& [name, content] : config.special_tokens) {
    const auto id = token_to_id(content);
    if (id && !content.empty()) added_tokens_.insert({*id, {.content = content, .id = id, .special = true}});
  }
}

std::optional<TokenId> SentencePieceTokenizer::piece_id(std::string_view piece) const {
  const int id = processor_->PieceToId(piece);
  return processor_->IdToPiece(id) == piece ? std::optional(id) : std::nullopt;
}

std::optional<TokenId> SentencePieceTokenizer::end_token(const TokenizerConfig& config,
                                                         const std::string& name, int model_id) const {
  if (const auto content = config.special_token(name); !content.empty()) return token_to_id(content);
  return model_id < 0 ? std::nullopt : std::optional(model_id);
}

std::vector<TokenId> SentencePieceTokenizer::encode(std::string_view text, bool add_special_tokens) const {
  auto ids = encode_stretches({std::string(text), {}});
  if (!add_special_tokens) return ids;
  const bool has_bos = bos_id_ && !ids.empty() && ids.front() == *bos_id_;
  if (add_bos_ && !has_bos) ids.insert(ids.begin(), *bos_id_);
  if (add_eos_) ids.push_back(*eos_id_);
  return ids;
}

std::vector<TokenId> SentencePieceTokenizer::encode(const RenderedPrompt& prompt) const {
  return encode_stretches(prompt);
}

const AddedToken* SentencePieceTokenizer::added_token_at(const RenderedPrompt& prompt,
                                                         std::size_t begin) const {
  const std::string_view rest = std::string_view(prompt.text).substr(begin);
  for (const AddedToken* token : by_first_byte_[static_cast<unsigned char>(rest.front())]) {
    const std::size_t end = begin + token->content.size();
    if (!rest.starts_with(token->content) || (token->special && touches(prompt.plain, begin, end))) continue;
    const bool stands_alone = (begin == 0 || prompt.text[begin - 1] == ' ') &&
                              (end == prompt.text.size() || prompt.text[end] == ' ');
    if (!token->single_word || stands_alone) return token;
  }
  return nullptr;
}

std::vector<TokenId> SentencePieceTokenizer::encode_stretches(const RenderedPrompt& prompt) const {
  const std::string_view text = prompt.text;
  std::vector<TokenId> ids;
  std::size_t done = 0;
  for (std::size_t at = 0; at < text.size();) {
    const AddedToken* token = added_token_at(prompt, at);
    if (token == nullptr) {
      ++at;
      continue;
    }
    const std::string_view before = text.substr(done, at - done);
    encode_stretch(token->lstrip ? without_spaces_at_end(before) : before, ids);
    ids.push_back(*token->id);
    at += token->content.size();
    while (token->rstrip && at < text.size() && is_space(text[at])) ++at;
    done = at;
  }
  encode_stretch(text.substr(done), ids);
  return ids;
}

void SentencePieceTokenizer::encode_stretch(std::string_view text, std::vector<TokenId>& ids) const {
  if (text.empty()) return;
  std::vector<int> stretch;
  require_ok(processor_->Encode(text, &stretch));
  if (nul_byte_) std::ranges::replace(stretch, *nul_piece_, *nul_byte_);
  ids.insert(ids.end(), stretch.begin(), stretch.end());
}

std::string SentencePieceTokenizer::decode(std::span<const TokenId> ids, const DecodeOptions& options) const {
  std::string text;
  std::vector<int> stretch;
  const std::string_view separator = options.spaces_between_special_tokens ? " " : "";
  const auto append = [&](std::string_view part) {
    if (!text.empty() && !part.empty()) text += separator;
    text += part;
  };
  const auto flush = [&] {
    std::string part;
    if (!stretch.empty()) require_ok(processor_->Decode(stretch, &part));
    append(part);
    stretch.clear();
  };
  for (const TokenId id : ids) {
    const auto added = added_tokens_.find(id);
    if (added != added_tokens_.end()) {
      if (options.skip_special_tokens && added->second.special) continue;
      flush();
      append(added->second.content);
    } else if (id >= 0 && id < processor_->GetPieceSize()) {
      stretch.push_back(id);
    }
  }
  flush();
  return text;
}

std::optional<TokenId> SentencePieceTokenizer::token_to_id(std::string_view token) const {
  for (const auto& [id, added] : added_tokens_)
    if (added.content == token) return id;
  return piece_id(token);
}

std::string SentencePieceTokenizer::id_to_token(TokenId id) const {
  const auto added = added_tokens_.find(id);
  if (added != added_tokens_.end()) return added->second.content;
  return id >= 0 && id < processor_->GetPieceSize() ? processor_->IdToPiece(id) : "";
}

bool SentencePieceTokenizer::is_special(TokenId id) const {
  const auto added = added_tokens_.find(id);
  if (added != added_tokens_.end()) return added->second.special;
  return id >= 0 && id < processor_->GetPieceSize() && processor_->IsControl(id);
}

std::vector<std::string> SentencePieceTokenizer::special_tokens() const {
  std::vector<std::string> texts;
  for (const auto& [id, token] : added_tokens_)
    if (token.special) texts.push_back(token.content);
  return texts;
}

}  // namespace lmdeploy
