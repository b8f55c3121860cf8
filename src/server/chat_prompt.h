#pragma once
#include <vector>

#include "server/openai.h"
#include "server/routes.h"

namespace lmdeploy {

// Makes a chat's prompt, and readies `options` for what its answer may hold: reasoning, calls of these tools.
// `input` has the tools already (template_tools). `param`: the request's field of messages, for errors.
// Throws ApiError (400) where the model has no template, no form of calls, or no room.
std::vector<TokenId> prepare_chat(const RouteContext& context, const ChatInput& input, const ToolUse& tools,
                                  const char* param, AnswerOptions& options);

}  // namespace lmdeploy
