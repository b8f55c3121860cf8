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

#include "server/answer_form.h"
#include "server/answer_parser.h"
#include "server/generation.h"
#include "server/request_limits.h"
#include "server/tool_use.h"
#include "text/chat_template.h"

namespace lmdeploy {

inline constexpr std::int32_t kDefaultCompletionTokens = 16;  // OpenAI's, of the completions route only

// What a request says of sampling; where it says nothing the model's defaults hold.
struct SamplingOverrides {
  std::optional<float> temperature;
  std::optional<std::int32_t> top_k;
  std::optional<float> top_p;
  std::optional<float> min_p;
  std::optional<float> typical_p;
  std::optional<float> repetition_penalty;
  std::optional<float> presence_penalty;
  std::optional<float> frequency_penalty;
  std::optional<std::uint64_t> seed;

  // Without a seed the answer is drawn from `random_seed`.
  SamplingParams resolve(SamplingParams defaults, std::uint64_t random_seed) const;
};

// What chat and completions have in common.
struct AnswerOptions {
  std::string model;
  SamplingOverrides sampling;
  GenerationParams generation;  // but for its `sampling` and `grammar`
  std::optional<AnswerForm> form = {};
  std::int32_t num_choices = 1;
  std::int32_t num_candidates =
      1;                  // best_of: as many are generated, the num_choices likeliest are the answer
  bool logprobs = false;  // tokens come with their log probabilities
  std::vector<std::string> echo_texts;  // of the prompts, with which their answers begin; empty: none
  bool stream = false;
  bool include_usage = false;              // a last chunk with the counts
  bool include_timings = false;            // where the time went, in the answer
  std::optional<std::int64_t> session_id;  // a name for /abort_request; no two running answers may share it
  std::string answer_id;                   // one by which its owner can end it; empty: none
  std::optional<AnswerParsing> parsing;    // of a chat's text; none: it is the content as it stands
};

struct ChatRequest {
  AnswerOptions options;
  std::variant<std::string, ChatInput> prompt;  // `messages` as a plain string is a raw prompt
  ToolUse tools;                                // none with a raw prompt
};

using Prompt = std::variant<std::string, std::vector<TokenId>>;

struct CompletionRequest {
  AnswerOptions options;
  std::vector<Prompt> prompts;  // not empty
  std::string suffix;           // the answer stands before it; empty: nothing follows
  bool echo = false;
};

struct FieldNote;  // server/json.h

// Throw ApiError (400).
// `notes`, where given, gets every field that is asked for.
ChatRequest parse_chat_request(std::string_view body, const RequestLimits& limits,
                               std::vector<FieldNote>* notes = nullptr);
CompletionRequest parse_completion_request(std::string_view body, const RequestLimits& limits,
                                           std::vector<FieldNote>* notes = nullptr);

}  // namespace lmdeploy
