#pragma once
// From what a request calls its prompt to token ids, within the bounds of a session.
#include <string>
#include <vector>

#include "server/routes.h"

namespace lmdeploy {

// Throws ApiError (404) where the server does not know the name.
void check_model(const ServedModel& model, const std::string& name);

// `param` is the request's field, for errors. Throw ApiError (400): text that cannot fit into a session, or
// a chat where the model has no template.
//
// The first is asked before a tokenizer spends time on a text: none can fit whose bytes are more than the
// longest token's times the session length.
void check_prompt_bytes(const RouteContext& context, std::size_t num_bytes, const char* param);
std::vector<TokenId> encode_text(const RouteContext& context, const std::string& text, const char* param,
                                 bool add_special_tokens = true);
RenderedPrompt render_chat(const RouteContext& context, const ChatInput& input, const char* param);
std::vector<TokenId> encode_chat(const RouteContext& context, const ChatInput& input, const char* param);

}  // namespace lmdeploy
