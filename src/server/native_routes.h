#pragma once
// Routes of LMDeploy's own beside OpenAI's.
#include "server/routes.h"

namespace lmdeploy {

void generate_native(const RouteContext& context, std::shared_ptr<Exchange> exchange);
void chat_interactive(const RouteContext& context, std::shared_ptr<Exchange> exchange);
void abort_request(const RouteContext& context, std::shared_ptr<Exchange> exchange);

}  // namespace lmdeploy
