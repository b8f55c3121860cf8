#pragma once
// OpenAI's requests as typed messages: JSON ends here. Every field of OpenAI's and LMDeploy's API is
// honoured, or accepted in the value that has no effect, or refused with a 400 that names it; so is an
// unknown field.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "server/generation.h"
#include "text/chat_template.h"

namespace lmdeploy {

inline constexpr std::int32_t kMaxChoices = 16;  // n
inline constexpr std::int32_t kMaxPrompts = 64;  // of one completions request
inline constexpr std::size_t kMaxStopStrings = 16;
inline constexpr std::size_t kMaxStopStringBytes = 256;
inline constexpr std::size_t kMaxStopTokens = 256;
inline constexpr std::size_t kMaxMessages = 10'000;
inline constexpr std::int32_t kDefaultCompletionTokens = 16;  // OpenAI's, of the completions route only

// What a request says of sampling; where it says nothing the model's defaults hold.
struct SamplingOverrides {
  std::optional<float> temperature;
  std::optional<std::int32_t> top_k;
  std::optional<float> top_p;
  std::optional<float> min_p;
  std::optional<float> repetition_penalty;
  std::optional<std::uint64_t> seed;

  // Without a seed the answer is drawn from `random_seed`.
  SamplingParams resolve(SamplingParams defaults, std::uint64_t random_seed) const;
};

// What chat and completions have in common.
struct AnswerOptions {
  std::string model;
  SamplingOverrides sampling;
  GenerationParams generation;  // but for its `sampling`
  std::int32_t num_choices = 1;
  bool stream = false;
  bool include_usage = false;  // a last chunk with the counts
};

struct ChatRequest {
  AnswerOptions options;
  std::variant<std::string, ChatInput> prompt;  // `messages` as a plain string is a raw prompt
};

using Prompt = std::variant<std::string, std::vector<TokenId>>;

struct CompletionRequest {
  AnswerOptions options;
  std::vector<Prompt> prompts;  // not empty
};

// Throw ApiError (400). vocab_size bounds the token ids in a request.
ChatRequest parse_chat_request(std::string_view body, std::int32_t vocab_size);
CompletionRequest parse_completion_request(std::string_view body, std::int32_t vocab_size);

}  // namespace lmdeploy
