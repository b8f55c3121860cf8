#pragma once
// What `bench serve` asks: prompts made at random, or read from a file.
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "text/tokenizer.h"

namespace lmdeploy::cli {

struct BenchPrompt {
  std::string text;
  std::int64_t prompt_len = -1;  // tokens of the text; -1: no tokenizer to count them
  std::int64_t output_len = 0;   // tokens to ask for
};

struct RandomPrompts {
  std::int64_t input_len = 1024;  // tokens as a completions server counts them: special ones included
  std::int64_t output_len = 128;
  double range_ratio = 0;       // both lengths are uniform in [len * (1 - ratio), len * (1 + ratio)]
  std::int64_t prefix_len = 0;  // tokens that all prompts begin with, before their input_len
};

struct FilePrompts {
  std::filesystem::path path;
  std::int64_t output_len = -1;  // -1: the file's own
};

// Random words of the vocabulary. Their text is cut and extended until it is tokenised into the length that
// was asked for. Throws Error where the vocabulary has no plain words to do that with.
std::vector<BenchPrompt> make_random_prompts(const Tokenizer& tokenizer, const RandomPrompts& shape,
                                             std::size_t num_prompts, std::uint64_t seed);

// ShareGPT's JSON: the first turn of each conversation is a prompt, its answer's length the length to ask
// for. Conversations out of vLLM's bounds (prompt and answer of 4 tokens or more, prompts up to 1024, both up
// to 2048) are left out. Shuffled; the file is used again where it has too few. Throws Error.
std::vector<BenchPrompt> read_sharegpt(const Tokenizer& tokenizer, const FilePrompts& file,
                                       std::size_t num_prompts, std::uint64_t seed);

// A JSON object with "prompt" (and "output_tokens" where output_len is -1) on each line. In the file's order,
// used again where it has too few. tokenizer may be null. Throws Error that names the line.
std::vector<BenchPrompt> read_custom(const Tokenizer* tokenizer, const FilePrompts& file,
                                     std::size_t num_prompts);

}  // namespace lmdeploy::cli
