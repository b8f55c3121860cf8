#pragma once
// Private to the parsers of Anthropic's requests.
#include "server/json.h"

namespace lmdeploy {

// `system`, a string or a list of text blocks, and `messages`: OpenAI's messages, [{"role", "content", ...}],
// each content a string. Turns of one role that follow each other become one, as Anthropic has it.
Json parse_anthropic_messages(JsonFields& fields, std::size_t max_messages);

}  // namespace lmdeploy
