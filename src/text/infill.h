#pragma once
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "text/tokenizer.h"

namespace lmdeploy {

// The prompt with which a model says what stands between two texts (Bavarian et al. 2022,
// prefix-suffix-middle). before: the first text's tokens, perhaps with a BOS. Empty where the vocabulary has
// no tokens for it.
std::optional<std::vector<TokenId>> infill_prompt(const Tokenizer& tokenizer, std::span<const TokenId> before,
                                                  std::string_view suffix);

}  // namespace lmdeploy
