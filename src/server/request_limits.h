#pragma once
#include <cstddef>
#include <cstdint>

namespace lmdeploy {

// What one request may ask for; more is refused with a 400 that names the limit.
struct RequestLimits {
  std::int32_t vocab_size = 0;               // token ids in a request are below it
  std::int32_t hidden_size = 0;              // dimensions of an embedding
  std::int32_t max_choices = 16;             // n
  std::int32_t max_prompts = 64;             // of one completions request
  std::int32_t max_embedding_inputs = 2048;  // of one request
  std::size_t max_stop_strings = 16;
  std::size_t max_stop_string_bytes = 256;
  std::size_t max_stop_tokens = 256;
  std::size_t max_bad_words = 64;
  std::size_t max_bad_word_bytes = 256;
  std::size_t max_logit_bias = 512;                          // tokens
  std::int32_t max_top_logprobs = 20;                        // beside each token
  std::int64_t max_echoed_logprobs = std::int64_t{1} << 18;  // of all prompts of a request
  std::size_t max_messages = 10'000;
  std::size_t max_tools = 128;
  std::size_t max_schema_bytes = 256 << 10;
};

}  // namespace lmdeploy
