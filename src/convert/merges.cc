#include "convert/merges.h"

#include <algorithm>
#include <string_view>
#include <tuple>
#include <unordered_map>

#include "base/error.h"
#include "convert/unicode.h"

namespace lmdeploy::convert {
namespace {

using Ids = std::unordered_map<std::string_view, std::size_t>;

// What BPE may build and build from: not the special tokens.
bool is_piece(TokenType type) {
  return type == TokenType::normal || type == TokenType::user_defined || type == TokenType::unused;
}

struct Cut {
  std::string_view left;
  std::string_view right;
  double score;          // of the whole
  std::size_t num_left;  // characters
  std::size_t num_right;
  std::size_t left_id;
  std::size_t right_id;
};

void add_cuts(std::string_view token, double score, const Ids& ids, std::vector<Cut>& cuts) {
  const std::vector<std::size_t> starts = character_starts(token);
  for (std::size_t i = 1; i < starts.size(); ++i) {
    const auto left = ids.find(token.substr(0, starts[i]));
    const auto right = ids.find(token.substr(starts[i]));
    if (left != ids.end() && right != ids.end())
      cuts.push_back({left->first, right->first, score, i, starts.size() - i, left->second, right->second});
  }
}

}  // namespace

Merges byte_level_merges(const Vocabulary& vocabulary, const std::string& origin) {
  Ids ids;
  for (std::size_t id = 0; id < vocabulary.tokens.size(); ++id) ids.emplace(vocabulary.tokens[id], id);
  Merges merges;
  std::string whole;
  for (const std::string& merge : vocabulary.merges) {
    // The first character may itself be a space in vocabularies that do not map bytes.
    const std::size_t space = merge.find(' ', 1);
    if (space == std::string::npos || space + 1 == merge.size())
      throw Error(fmt::format("{}: the merge \"{}\" is not two parts", origin, merge),
                  "The tokenizer in the file is damaged; fetch it again.");
    std::string left = merge.substr(0, space);
    std::string right = merge.substr(space + 1);
    whole = left + right;
    if (ids.count(left) == 0 || ids.count(right) == 0 || ids.count(whole) == 0)
      throw Error(fmt::format("{}: the merge \"{}\" names something that is not a token", origin, merge),
                  "The tokenizer in the file is damaged; fetch it again.");
    merges.emplace_back(std::move(left), std::move(right));
  }
  return merges;
}

Merges sentencepiece_merges(const Vocabulary& vocabulary) {
  Ids ids;
  for (std::size_t id = 0; id < vocabulary.tokens.size(); ++id)
    if (is_piece(vocabulary.types[id])) ids.emplace(vocabulary.tokens[id], id);
  std::vector<Cut> cuts;
  for (std::size_t id = 0; id < vocabulary.tokens.size(); ++id)
    if (is_piece(vocabulary.types[id])) add_cuts(vocabulary.tokens[id], vocabulary.scores[id], ids, cuts);
  // Among equal scores the longer left part goes first: in a run of spaces, SentencePiece joins from the
  // left.
  std::sort(cuts.begin(), cuts.end(), [](const Cut& a, const Cut& b) {
    return std::tuple(-a.score, -static_cast<double>(a.num_left), -static_cast<double>(a.num_right),
                      a.left_id, a.right_id) < std::tuple(-b.score, -static_cast<double>(b.num_left),
                                                          -static_cast<double>(b.num_right), b.left_id,
                                                          b.right_id);
  });
  Merges merges;
  for (const Cut& cut : cuts) merges.emplace_back(cut.left, cut.right);
  return merges;
}

}  // namespace lmdeploy::convert
