#pragma once
// Private to the parsers of Anthropic's requests.
#include "server/json.h"
#include "server/tool_use.h"

namespace lmdeploy {

// `system`, a string or a list of text blocks, and `messages`: OpenAI's messages, [{"role", "content", ...}],
// each content a string, or null of an assistant who only calls tools; a result of a tool is a message of
// role tool. Turns of one role that follow each other become one, as Anthropic has it.
Json parse_anthropic_messages(JsonFields& fields, std::size_t max_messages);

// `tools` and `tool_choice`.
ToolUse parse_anthropic_tools(JsonFields& fields, const RequestLimits& limits);

}  // namespace lmdeploy
