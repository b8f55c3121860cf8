#pragma once
// Routes that tell what is served.
#include "server/routes.h"

namespace lmdeploy {

void health(const RouteContext& context, std::shared_ptr<Exchange> exchange);
void list_models(const RouteContext& context, std::shared_ptr<Exchange> exchange);
void get_model(const RouteContext& context, std::shared_ptr<Exchange> exchange);

}  // namespace lmdeploy
