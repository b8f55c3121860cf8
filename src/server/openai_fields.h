#pragma once
// The parts of a request's JSON, shared by chat and completions. Private to openai*.cc.
#include "server/json.h"
#include "server/openai.h"

namespace lmdeploy {

// The fields that chat and completions have in common.
AnswerOptions parse_answer_options(JsonFields& fields, std::int32_t vocab_size);

// `messages` as a list: [{"role", "content", "name"}], each content a string. Parts of type text are joined
// with a newline, as vLLM does.
nlohmann::ordered_json parse_messages(const Json& messages);

// A list of ids below vocab_size.
std::vector<TokenId> parse_token_ids(const Json& list, const std::string& path, std::int32_t vocab_size);

}  // namespace lmdeploy
