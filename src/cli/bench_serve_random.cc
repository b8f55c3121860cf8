#include <algorithm>
#include <cctype>
#include <cmath>
#include <random>
#include <string_view>

#include "base/error.h"
#include "cli/bench_serve_dataset.h"

namespace lmdeploy::cli {
namespace {

constexpr std::size_t kMinWords = 4;
constexpr int kMaxAttempts = 32;

// " word" as byte-level and SentencePiece vocabularies spell it: such tokens stay apart when a text of them
// is split again.
bool is_word(std::string_view token) {
  for (const std::string_view space : {"\u0120", "\u2581"}) {
    if (!token.starts_with(space) || token.size() == space.size()) continue;
    const std::string_view letters = token.substr(space.size());
    return std::all_of(letters.begin(), letters.end(),
                       [](unsigned char c) { return c < 0x80 && std::isalpha(c) != 0; });
  }
  return false;
}

class WordSource {
 public:
  WordSource(const Tokenizer& tokenizer, std::uint64_t seed) : tokenizer_(tokenizer), random_(seed) {
    for (TokenId id = 0; id < tokenizer.vocab_size(); ++id)
      if (!tokenizer.is_special(id) && is_word(tokenizer.id_to_token(id))) words_.push_back(id);
    if (words_.size() < kMinWords)
      throw Error(fmt::format("the tokenizer's vocabulary has {} plain words, too few for random prompts",
                              words_.size()),
                  "Use --dataset-name custom or sharegpt with a file.");
    num_special_ = std::ssize(tokenizer.encode("", true));
  }

  // Uniform in [len * (1 - ratio), len * (1 + ratio)], at least 1.
  std::int64_t length(std::int64_t len, double ratio) {
    const auto mid = static_cast<double>(len);
    const auto low = static_cast<std::int64_t>(std::floor(mid * (1 - ratio)));
    const auto high = static_cast<std::int64_t>(std::ceil(mid * (1 + ratio)));
    return std::max<std::int64_t>(1, std::uniform_int_distribution<std::int64_t>(low, high)(random_));
  }

  std::vector<TokenId> draw(std::size_t num_tokens) {
    std::uniform_int_distribution<std::size_t> word(0, words_.size() - 1);
    std::vector<TokenId> ids(num_tokens);
    for (TokenId& id : ids) id = words_[word(random_)];
    return ids;
  }

  // A text of `wanted` tokens, special ones included, that begins as `ids` do.
  std::string text_of(std::vector<TokenId> ids, std::int64_t wanted) {
    const auto num_plain = static_cast<std::size_t>(std::max<std::int64_t>(1, wanted - num_special_));
    for (int attempt = 0; attempt < kMaxAttempts; ++attempt) {
      if (ids.size() > num_plain) ids.resize(num_plain);
      const std::vector<TokenId> more = draw(num_plain - ids.size());
      ids.insert(ids.end(), more.begin(), more.end());
      std::string text = tokenizer_.decode(ids, {});
      ids = tokenizer_.encode(text, false);
      if (ids.size() == num_plain) return text;
    }
    throw Error(fmt::format("no text of exactly {} tokens was found for this tokenizer", wanted),
                "Use --dataset-name custom or sharegpt with a file.");
  }

 private:
  const Tokenizer& tokenizer_;
  std::mt19937_64 random_;
  std::vector<TokenId> words_;
  std::int64_t num_special_ = 0;
};

}  // namespace

std::vector<BenchPrompt> make_random_prompts(const Tokenizer& tokenizer, const RandomPrompts& shape,
                                             std::size_t num_prompts, std::uint64_t seed) {
  WordSource words(tokenizer, seed);
  const std::vector<TokenId> prefix = words.draw(static_cast<std::size_t>(shape.prefix_len));
  std::vector<BenchPrompt> prompts(num_prompts);
  for (BenchPrompt& prompt : prompts) {
    prompt.prompt_len = shape.prefix_len + words.length(shape.input_len, shape.range_ratio);
    prompt.output_len = words.length(shape.output_len, shape.range_ratio);
    prompt.text = words.text_of(prefix, prompt.prompt_len);
  }
  return prompts;
}

}  // namespace lmdeploy::cli
