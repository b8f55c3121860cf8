#include "server/answer_tokens.h"

#include <algorithm>

#include "text/characters.h"
#include "text/token_bytes.h"

namespace lmdeploy {
namespace {

// Walks along a text token by token.
class TextWalk {
 public:
  explicit TextWalk(std::string_view text) : rest_(text) {}

  // Where the token begins, in characters.
  std::int64_t pass(std::string_view bytes, bool is_special) {
    const std::int64_t begin = num_chars_;
    if (rest_.starts_with(bytes)) {
      advance(bytes.size());
    } else if (bytes.starts_with(' ') && rest_.starts_with(bytes.substr(1))) {
      advance(bytes.size() - 1);  // the space that a tokenizer puts before a text
    } else if (!is_special) {     // a tokenizer may change the text; one that it adds has no place in it
      advance(std::min(bytes.size(), rest_.size()));
    }
    return begin;
  }

 private:
  void advance(std::size_t num_bytes) {
    num_chars_ += count_chars(rest_.substr(0, num_bytes));
    rest_.remove_prefix(num_bytes);
  }

  std::string_view rest_;
  std::int64_t num_chars_ = 0;
};

}  // namespace

AnswerToken answer_token(const Tokenizer& tokenizer, TokenId token, std::optional<float> logprob,
                         std::span<const TokenLogprob> top) {
  AnswerToken result{.token = token, .bytes = token_bytes(tokenizer, token), .logprob = logprob};
  for (const TokenLogprob& other : top)
    result.top.push_back({token_bytes(tokenizer, other.token), other.logprob});
  return result;
}

std::vector<AnswerToken> echoed_tokens(const Tokenizer& tokenizer, std::string_view text, TokenId first_token,
                                       std::span<const TokenScore> scores) {
  std::vector<AnswerToken> tokens{answer_token(tokenizer, first_token, std::nullopt, {})};
  for (const TokenScore& score : scores)
    tokens.push_back(answer_token(tokenizer, score.token, score.logprob, score.top));
  TextWalk walk(text);
  for (AnswerToken& token : tokens)
    token.text_offset = walk.pass(token.bytes, tokenizer.is_special(token.token));
  return tokens;
}

}  // namespace lmdeploy
