#pragma once
#include <string>
#include <utility>
#include <vector>

#include "convert/vocabulary.h"

namespace lmdeploy::convert {

// BPE's rules in the order of their rank.
using Merges = std::vector<std::pair<std::string, std::string>>;

// The file's own rules. Throws Error where one is not two parts, or a part or the whole is not a token.
Merges byte_level_merges(const Vocabulary& vocabulary, const std::string& origin);

// SentencePiece's BPE joins the neighbours whose union is the token with the best score. The same as rules:
// every way to cut a token into two tokens, in the order of the scores.
Merges sentencepiece_merges(const Vocabulary& vocabulary);

}  // namespace lmdeploy::convert
