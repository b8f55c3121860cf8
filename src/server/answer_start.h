#pragma once
#include <memory>
#include <vector>

#include "server/answer_format.h"
#include "server/embeddings.h"
#include "server/openai.h"
#include "server/routes.h"

namespace lmdeploy {

// Begins an answer: its place among the running ones, its name, deadline and cache salt, and its line in the
// log. From any thread. Where the server is full (ApiError, 429) or the engine refuses, nothing runs.
void start_answer(const RouteContext& context, std::shared_ptr<Exchange> exchange,
                  std::unique_ptr<AnswerFormat> format, AnswerOptions options,
                  std::vector<std::vector<TokenId>> prompts);
// The same of embeddings. request.pooling is given.
void start_embeddings(const RouteContext& context, std::shared_ptr<Exchange> exchange,
                      EmbeddingsRequest request, std::vector<std::vector<TokenId>> inputs);

}  // namespace lmdeploy
