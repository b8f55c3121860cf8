#pragma once
// The documentation: Swagger UI at / and /docs, and the OpenAPI document that it shows.
#include "server/routes.h"

namespace lmdeploy {

void docs_page(const RouteContext& context, std::shared_ptr<Exchange> exchange);
void docs_file(const RouteContext& context, std::shared_ptr<Exchange> exchange);
void openapi(const RouteContext& context, std::shared_ptr<Exchange> exchange);

}  // namespace lmdeploy
