#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "checkpoint/gguf.h"

namespace lmdeploy::convert {

// tokenizer.ggml.token_type
enum class TokenType : std::uint8_t {
  normal = 1,
  unknown = 2,
  control = 3,
  user_defined = 4,
  unused = 5,
  byte = 6,
};

// The tokenizer of a GGUF file: tokenizer.ggml.*, with llama.cpp's defaults where a key is absent.
struct Vocabulary {
  enum class Model { byte_level_bpe, sentencepiece };

  Model model = Model::byte_level_bpe;
  std::string pre;                  // tokenizer.ggml.pre
  std::vector<std::string> tokens;  // by id; unique, UTF-8
  std::vector<TokenType> types;     // by id
  std::vector<double> scores;       // by id; sentencepiece only
  std::vector<std::string> merges;  // "left right"; byte_level_bpe only
  std::optional<std::int32_t> bos_id, eos_id, eot_id, eom_id, unknown_id, padding_id;
  bool add_bos = false;
  bool add_eos = false;
  bool add_space_prefix = false;  // sentencepiece only
};

// Throws Error: keys that are missing or do not fit each other, a model that is not known, a number of tokens
// other than vocab_size, tokens that stand twice or are not UTF-8.
Vocabulary read_vocabulary(const GgufMetadata& metadata, std::int64_t vocab_size);

}  // namespace lmdeploy::convert
