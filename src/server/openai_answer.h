#pragma once
// Answers in OpenAI's JSON. A stream and a whole answer are made of the same chunks.
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/request.h"
#include "server/logprobs_json.h"
#include "text/tool_calls.h"

namespace lmdeploy {

class ApiError;

enum class AnswerKind : std::uint8_t { chat, completion };

struct AnswerHead {
  AnswerKind kind;
  std::string id;  // chatcmpl-..., cmpl-...
  std::string model;
  std::int64_t created;        // unix seconds
  bool include_usage = false;  // chunks carry "usage": null until the last
};

// What is new of one tool call.
struct AnswerCall {
  std::string id;  // of the call; only in its first delta, as its name
  ToolCallDelta delta;
};

struct AnswerChunk {
  std::int32_t choice_idx = 0;
  std::string text = {};
  FinishReason finish_reason = FinishReason::none;
  std::string stop_string = {};           // which of the request's has ended the choice; empty: none
  TokenId token = -1;                     // -1: none in this chunk
  std::int32_t num_generated_tokens = 0;  // of the choice so far
  std::vector<AnswerToken> tokens = {};   // with their log probabilities, where these were asked for
  std::string reasoning = {};             // came before `text`
  std::vector<AnswerCall> calls = {};     // came behind it
  bool ends_with_calls = false;           // the finish_reason is said to be tool_calls

  bool says_something() const { return !text.empty() || !reasoning.empty() || !calls.empty(); }
};

struct AnswerUsage {
  std::int64_t num_prompt_tokens = 0;
  std::int64_t num_completion_tokens = 0;
  std::int64_t num_cached_tokens = 0;  // of the prompts, found in the prefix cache
  std::optional<std::int64_t> num_reasoning_tokens =
      {};                    // of the completion; none: the model does not reason
  std::string timings = {};  // a JSON object where the client asked for it
};

AnswerHead make_answer_head(AnswerKind kind, std::string model, bool include_usage);

// Objects of a stream. The role comes first in each choice of a chat.
std::string role_chunk(const AnswerHead& head, std::int32_t choice_idx);
std::string text_chunk(const AnswerHead& head, const AnswerChunk& chunk);
// The last one: the counts where the head asks for them, and the timings where there are any.
std::string usage_chunk(const AnswerHead& head, const AnswerUsage& usage);

// The whole answer: what the chunks of its stream add up to.
class AnswerFold {
 public:
  explicit AnswerFold(std::int32_t num_choices) : choices_(static_cast<std::size_t>(num_choices)) {}

  void add(const AnswerChunk& chunk);
  std::string json(const AnswerHead& head, const AnswerUsage& usage) const;

 private:
  std::vector<AnswerChunk> choices_;  // each the sum of its chunks
};

// Adds to a sum of chunks one more of the same choice: each of its calls has then one delta.
void add_chunk(const AnswerChunk& chunk, AnswerChunk& sum);

// "stop", "length", "abort", or null while more will come.
nlohmann::ordered_json finish_reason_json(FinishReason reason);
// Also "tool_calls".
nlohmann::ordered_json finish_reason_json(const AnswerChunk& chunk);

// Server-sent events (WHATWG HTML, section 9.2).
std::string sse_event(std::string_view json);
std::string sse_event(std::string_view event, std::string_view json);
std::string sse_error(const ApiError& error);
inline constexpr std::string_view kSseDone = "data: [DONE]\n\n";

}  // namespace lmdeploy
