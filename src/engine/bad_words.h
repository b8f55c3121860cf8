#pragma once
#include <vector>

#include "engine/request.h"

namespace lmdeploy {

// Keeps an answer from saying certain sequences of tokens: the last token of one is banned wherever those
// before it have just been drawn. The prompt does not count.
class BadWords {
 public:
  explicit BadWords(std::vector<std::vector<TokenId>> words);  // none empty

  void accept(TokenId token);                           // the answer goes on with it
  void append_banned(std::vector<TokenId>& ids) const;  // tokens that would complete a word now

 private:
  bool is_begun(const std::vector<TokenId>& word) const;

  std::vector<std::vector<TokenId>> words_;
  std::size_t max_begun_len_ = 0;  // tokens of the answer that matter
  std::vector<TokenId> tail_;      // the answer's last max_begun_len_ tokens
};

}  // namespace lmdeploy
