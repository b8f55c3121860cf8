#include "text/infill.h"

#include <array>

namespace lmdeploy {
namespace {

struct InfillTokens {
  std::string_view prefix;
  std::string_view suffix;
  std::string_view middle;
};

constexpr std::array<InfillTokens, 4> kInfillTokens{{
    {"<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"},  // Qwen2.5, CodeGemma
    {"<fim_prefix>", "<fim_suffix>", "<fim_middle>"},        // StarCoder, Granite
    {"▁<PRE>", "▁<SUF>", "▁<MID>"},                          // Code Llama
    {"<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>"},  // DeepSeek Coder
}};

}  // namespace

std::optional<std::vector<TokenId>> infill_prompt(const Tokenizer& tokenizer, std::span<const TokenId> before,
                                                  std::string_view suffix) {
  for (const InfillTokens& tokens : kInfillTokens) {
    const auto prefix_id = tokenizer.token_to_id(tokens.prefix);
    const auto suffix_id = tokenizer.token_to_id(tokens.suffix);
    const auto middle_id = tokenizer.token_to_id(tokens.middle);
    if (!prefix_id || !suffix_id || !middle_id) continue;
    std::vector<TokenId> ids(before.begin(), before.end());
    const bool has_bos = !ids.empty() && tokenizer.bos_id() == ids.front();
    ids.insert(ids.begin() + (has_bos ? 1 : 0), *prefix_id);
    ids.push_back(*suffix_id);
    const auto suffix_ids = tokenizer.encode(suffix, false);
    ids.insert(ids.end(), suffix_ids.begin(), suffix_ids.end());
    ids.push_back(*middle_id);
    return ids;
  }
  return std::nullopt;
}

}  // namespace lmdeploy
