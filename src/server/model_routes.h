#pragma once
// Routes that tell what is served.
#include "server/routes.h"

namespace lmdeploy {

// GET /health: 200 once the model is there and computes; with ?ready also only while requests are taken.
void health(const RouteContext& context, std::shared_ptr<Exchange> exchange);
void list_models(const RouteContext& context, std::shared_ptr<Exchange> exchange);
void get_model(const RouteContext& context, std::shared_ptr<Exchange> exchange);

// The answer of /health before there is a model.
HttpResponse loading_response();

}  // namespace lmdeploy
