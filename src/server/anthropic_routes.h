#pragma once
// Anthropic's Messages API.
#include "server/routes.h"

namespace lmdeploy {

void messages(const RouteContext& context, std::shared_ptr<Exchange> exchange);
void count_message_tokens(const RouteContext& context, std::shared_ptr<Exchange> exchange);

}  // namespace lmdeploy
