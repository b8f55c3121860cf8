#pragma once
// The parts of a request's JSON, shared by the bodies of several routes. Private to their parsers.
#include "server/json.h"
#include "server/openai.h"

namespace lmdeploy {

// Two fields that say the same thing in different ways.
void expect_exactly_one(const char* first, bool has_first, const char* second, bool has_second);

// `session_id`; -1 is LMDeploy's word for none.
std::optional<std::int64_t> parse_session_id(JsonFields& fields);

// `model`, which is required.
std::string parse_model(JsonFields& fields);

// How tokens are drawn, and when an answer ends.
SamplingOverrides parse_sampling(JsonFields& fields);
std::vector<std::string> parse_stop_strings(JsonFields& fields, std::string_view name,
                                            const RequestLimits& limits);
// What parse_generation reads beside the answer's length.
void parse_shape(JsonFields& fields, const RequestLimits& limits, GenerationParams& params);
// min_max_tokens: 0 where an answer may be empty on purpose.
GenerationParams parse_generation(JsonFields& fields, const RequestLimits& limits,
                                  std::int32_t min_max_tokens = 1);

// A list of messages and what else its template reads.
ChatInput parse_chat_input(JsonFields& fields, const Json& messages, const RequestLimits& limits);

// The fields that chat and completions have in common.
AnswerOptions parse_answer_options(JsonFields& fields, const RequestLimits& limits,
                                   std::int32_t min_max_tokens = 1);

// `messages` as a list: [{"role", "content", "name"}], each content a string. Parts of type text are joined
// with a newline, as vLLM does.
nlohmann::ordered_json parse_messages(const Json& messages, std::size_t max_messages);

// A call's arguments as a template reads them: the object, where the text is one.
Json parse_arguments(const std::string& text);

// A text, its token ids, or a list of 1 to max_prompts of either.
std::vector<Prompt> parse_prompts(JsonFields& fields, std::string_view name, std::int32_t max_prompts,
                                  const RequestLimits& limits);

// A list of ids below vocab_size.
std::vector<TokenId> parse_token_ids(const Json& list, const std::string& path, std::int32_t vocab_size);

}  // namespace lmdeploy
