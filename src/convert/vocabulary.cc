#include "convert/vocabulary.h"

#include <unordered_set>

#include "base/error.h"
#include "base/log.h"
#include "convert/byte_alphabet.h"
#include "convert/pre_tokenizers.h"
#include "convert/unicode.h"

namespace lmdeploy::convert {
namespace {

const std::string kPrefix = "tokenizer.ggml.";

[[noreturn]] void mismatch(const GgufMetadata& metadata, const std::string& problem) {
  throw Error(fmt::format("{}: {}", metadata.origin(), problem),
              "The tokenizer in the file is damaged or belongs to another model; fetch it again.");
}

Vocabulary::Model read_model(const GgufMetadata& metadata) {
  const std::string model = metadata.get_string(kPrefix + "model");
  if (model == "gpt2") return Vocabulary::Model::byte_level_bpe;
  if (model == "llama") return Vocabulary::Model::sentencepiece;
  throw Error(fmt::format("{}: the tokenizer model \"{}\" is not supported", metadata.origin(), model),
              "Supported are gpt2 (byte-level BPE) and llama (SentencePiece BPE).");
}

std::vector<TokenType> read_types(const GgufMetadata& metadata, std::size_t num_tokens) {
  const std::vector<std::int64_t>* numbers = metadata.find_ints(kPrefix + "token_type");
  if (numbers == nullptr) return std::vector<TokenType>(num_tokens, TokenType::normal);
  if (numbers->size() != num_tokens)
    mismatch(metadata, fmt::format("{} tokens but {} token types", num_tokens, numbers->size()));
  std::vector<TokenType> types;
  for (const std::int64_t number : *numbers) {
    if (number < 0 || number > 6) mismatch(metadata, fmt::format("the token type {} is not known", number));
    types.push_back(number == 0 ? TokenType::normal : static_cast<TokenType>(number));
  }
  return types;
}

void check_tokens(const GgufMetadata& metadata, std::vector<std::string>& tokens) {
  std::unordered_set<std::string_view> seen;
  for (std::size_t id = 0; id < tokens.size(); ++id) {
    // llama.cpp's own name for a token without text.
    if (tokens[id].empty()) tokens[id] = fmt::format("[EMPTY_{}]", id);
    if (!is_utf8(tokens[id])) mismatch(metadata, fmt::format("token {} is not valid UTF-8", id));
    if (!seen.insert(tokens[id]).second)
      mismatch(metadata, fmt::format("token {} (\"{}\") stands twice", id, tokens[id]));
  }
}

// An id of a special token; one outside the vocabulary is ignored, as llama.cpp does.
std::optional<std::int32_t> read_id(const GgufMetadata& metadata, const char* key, std::size_t num_tokens) {
  const std::optional<std::int64_t> id = metadata.find_int(kPrefix + key);
  if (!id) return std::nullopt;
  if (*id >= 0 && static_cast<std::uint64_t>(*id) < num_tokens) return static_cast<std::int32_t>(*id);
  log::warn("{}: {}{} = {} lies outside the {} tokens and is ignored", metadata.origin(), kPrefix, key, *id,
            num_tokens);
  return std::nullopt;
}

void read_ids(const GgufMetadata& metadata, Vocabulary& vocabulary) {
  const std::size_t num_tokens = vocabulary.tokens.size();
  vocabulary.bos_id = read_id(metadata, "bos_token_id", num_tokens);
  vocabulary.eos_id = read_id(metadata, "eos_token_id", num_tokens);
  vocabulary.eot_id = read_id(metadata, "eot_token_id", num_tokens);
  vocabulary.eom_id = read_id(metadata, "eom_token_id", num_tokens);
  vocabulary.unknown_id = read_id(metadata, "unknown_token_id", num_tokens);
  vocabulary.padding_id = read_id(metadata, "padding_token_id", num_tokens);
}

void read_sentencepiece(const GgufMetadata& metadata, Vocabulary& vocabulary) {
  const std::vector<double>* scores = metadata.find_numbers(kPrefix + "scores");
  if (scores == nullptr || scores->size() != vocabulary.tokens.size())
    mismatch(metadata, fmt::format("{}scores must give one number for each of the {} tokens", kPrefix,
                                   vocabulary.tokens.size()));
  vocabulary.scores = *scores;
  const auto default_id = [&](std::optional<std::int32_t>& id, std::int32_t value) {
    if (!id && static_cast<std::size_t>(value) < vocabulary.tokens.size()) id = value;
  };
  default_id(vocabulary.unknown_id, 0);
  default_id(vocabulary.bos_id, 1);
  default_id(vocabulary.eos_id, 2);
  vocabulary.add_bos = true;
  vocabulary.add_space_prefix = metadata.find_bool(kPrefix + "add_space_prefix").value_or(true);
}

// Some vocabularies were trained without characters for rare bytes; llama.cpp and Hugging Face's tokenizers
// both drop such bytes of a text without a word.
void warn_of_missing_bytes(const GgufMetadata& metadata, const std::vector<std::string>& tokens) {
  const std::unordered_set<std::string_view> known(tokens.begin(), tokens.end());
  int num_missing = 0;
  for (const std::string& character : byte_alphabet()) num_missing += known.count(character) == 0 ? 1 : 0;
  if (num_missing > 0)
    log::warn("{}: the vocabulary has no token for {} of the 256 bytes; text with them loses them",
              metadata.origin(), num_missing);
}

void read_byte_level(const GgufMetadata& metadata, Vocabulary& vocabulary) {
  vocabulary.pre = metadata.find_string(kPrefix + "pre").value_or("default");
  vocabulary.merges = metadata.get_strings(kPrefix + "merges");
  vocabulary.add_bos = get_pre_tokenizer(vocabulary.pre, metadata.origin()).add_bos;
  warn_of_missing_bytes(metadata, vocabulary.tokens);
}

}  // namespace

Vocabulary read_vocabulary(const GgufMetadata& metadata, std::int64_t vocab_size) {
  Vocabulary vocabulary;
  vocabulary.model = read_model(metadata);
  vocabulary.tokens = metadata.get_strings(kPrefix + "tokens");
  if (static_cast<std::int64_t>(vocabulary.tokens.size()) != vocab_size)
    mismatch(metadata, fmt::format("the tokenizer has {} tokens, the embedding {} rows",
                                   vocabulary.tokens.size(), vocab_size));
  check_tokens(metadata, vocabulary.tokens);
  vocabulary.types = read_types(metadata, vocabulary.tokens.size());
  read_ids(metadata, vocabulary);
  if (vocabulary.model == Vocabulary::Model::sentencepiece)
    read_sentencepiece(metadata, vocabulary);
  else
    read_byte_level(metadata, vocabulary);
  vocabulary.add_bos = metadata.find_bool(kPrefix + "add_bos_token").value_or(vocabulary.add_bos);
  vocabulary.add_eos = metadata.find_bool(kPrefix + "add_eos_token").value_or(false);
  return vocabulary;
}

}  // namespace lmdeploy::convert
