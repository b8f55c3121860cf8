#pragma once
// Private to the parser of requests to /v1/responses.
#include "server/json.h"
#include "server/tool_use.h"

namespace lmdeploy {

// `input`, a string or a list of items: OpenAI's chat messages, [{"role", "content", ...}]. Calls are part of
// the assistant's message before them.
Json parse_response_input(JsonFields& fields, std::size_t max_items);

// tools, tool_choice and parallel_tool_calls.
ToolUse parse_response_tools(JsonFields& fields, const RequestLimits& limits);

}  // namespace lmdeploy
