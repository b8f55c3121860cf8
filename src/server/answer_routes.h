#pragma once
// Routes that answer with generated text.
#include "server/routes.h"

namespace lmdeploy {

void chat_completions(const RouteContext& context, std::shared_ptr<Exchange> exchange);
void completions(const RouteContext& context, std::shared_ptr<Exchange> exchange);

}  // namespace lmdeploy
