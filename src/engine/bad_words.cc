#include "engine/bad_words.h"

#include <algorithm>

#include "base/error.h"

namespace lmdeploy {

BadWords::BadWords(std::vector<std::vector<TokenId>> words) : words_(std::move(words)) {
  for (const auto& word : words_) {
    CHECK(!word.empty(), "an empty bad word");
    max_begun_len_ = std::max(max_begun_len_, word.size() - 1);
  }
}

void BadWords::accept(TokenId token) {
  if (max_begun_len_ == 0) return;
  if (tail_.size() == max_begun_len_) tail_.erase(tail_.begin());
  tail_.push_back(token);
}

void BadWords::append_banned(std::vector<TokenId>& ids) const {
  for (const auto& word : words_)
    if (is_begun(word)) ids.push_back(word.back());
}

bool BadWords::is_begun(const std::vector<TokenId>& word) const {
  const std::size_t len = word.size() - 1;
  return len <= tail_.size() &&
         std::equal(word.begin(), word.end() - 1, tail_.end() - static_cast<std::ptrdiff_t>(len));
}

}  // namespace lmdeploy
