#pragma once
// Private to the parser of requests to /v1/responses.
#include "server/json.h"

namespace lmdeploy {

// `input`, a string or a list of items: OpenAI's chat messages, [{"role", "content", ...}].
Json parse_response_input(JsonFields& fields, std::size_t max_items);

}  // namespace lmdeploy
