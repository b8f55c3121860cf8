#include "convert/pre_tokenizers.h"

#include <algorithm>
#include <vector>

#include "base/error.h"

namespace lmdeploy::convert {
namespace {

// GPT-2's words, with a space in front of them; white space at the end of a run belongs to the next word.
constexpr std::string_view kGpt2Words =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
constexpr std::string_view kDigit = R"(\p{N})";

// The family of cl100k: contractions in any case, line ends apart. They differ in how many digits a piece
// has.
#define LMDEPLOY_WORDS(digits)                                                     \
  R"('(?:[sStTmMdD]|[rR][eE]|[vV][eE]|[lL][lL])|[^\r\n\p{L}\p{N}]?\p{L}+|)" digits \
  R"(| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"

constexpr std::string_view kLlama3[] = {LMDEPLOY_WORDS(R"(\p{N}{1,3})")};
constexpr std::string_view kQwen2[] = {LMDEPLOY_WORDS(R"(\p{N})")};
#undef LMDEPLOY_WORDS

constexpr std::string_view kGpt2[] = {kGpt2Words};
constexpr std::string_view kSingleDigits[] = {kDigit, kGpt2Words};
constexpr std::string_view kDefault[] = {R"([\p{P}\$\+<=>\^~\|]+)", kGpt2Words, R"(\p{N}+)",
                                         R"([0-9][0-9][0-9])"};
constexpr std::string_view kSeedCoder[] = {
    R"('(?:[sStTmMdD]|[rR][eE]|[vV][eE]|[lL][lL])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}\r\n]+|)"
    R"(\s*[\r\n]+|\s+(?!\S)|\s+)"};
// Mistral's own: words end where lower case turns to upper case.
constexpr std::string_view kTekken[] = {
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|)"
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|)"
    R"(\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)"};
constexpr std::string_view kDeepseekCoder[] = {R"([\r\n])", R"(\s?\p{L}+)", R"(\s?\p{P}+)",
                                               R"([一-龥ࠀ-一가-퟿]+)", kDigit};

struct Row {
  std::string_view pre;
  std::span<const std::string_view> patterns;
  bool ignore_merges = false;
  bool add_bos = false;
};

// Those that models of the architectures llama, qwen2 and qwen3 come with.
constexpr Row kRows[] = {
    {"codeshell", kSingleDigits},
    {"command-r", kSingleDigits},
    {"dbrx", kLlama3},
    {"deepseek-coder", kDeepseekCoder},
    {"deepseek-r1-qwen", kQwen2},
    {"default", kDefault},
    {"falcon3", kLlama3, true, true},
    {"gpt-2", kGpt2},
    {"kormo", kQwen2},
    {"llama-bpe", kLlama3, true, true},
    {"llama-v3", kLlama3, true, true},
    {"llama3", kLlama3, true, true},
    {"megrez", kQwen2},
    {"midm-2.0", kLlama3, true, true},
    {"minerva-7b", kSingleDigits},
    {"mpt", kGpt2},
    {"olmo", kGpt2},
    {"phi-2", kGpt2},
    {"pixtral", kLlama3, true, true},
    {"qwen2", kQwen2},
    {"refact", kSingleDigits},
    {"seed-coder", kSeedCoder},
    {"smaug-bpe", kLlama3},
    {"smollm", kSingleDigits},
    {"stablelm2", kQwen2},
    {"starcoder", kSingleDigits},
    {"tekken", kTekken, true, true},
    {"trillion", kGpt2},
};

}  // namespace

PreTokenizer get_pre_tokenizer(std::string_view pre, const std::string& origin) {
  std::vector<std::string_view> known;
  for (const Row& row : kRows) {
    if (row.pre == pre) return {row.patterns, row.ignore_merges, row.add_bos};
    known.push_back(row.pre);
  }
  throw Error(fmt::format("{}: the pre-tokeniser \"{}\" (tokenizer.ggml.pre) is not known", origin, pre),
              fmt::format("Known are {}.", fmt::join(known, ", ")));
}

}  // namespace lmdeploy::convert
