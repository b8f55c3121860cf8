#pragma once
// OpenAI's Responses API.
#include "server/routes.h"

namespace lmdeploy {

void create_response(const RouteContext& context, std::shared_ptr<Exchange> exchange);
void get_response(const RouteContext& context, std::shared_ptr<Exchange> exchange);
void delete_response(const RouteContext& context, std::shared_ptr<Exchange> exchange);
void cancel_response(const RouteContext& context, std::shared_ptr<Exchange> exchange);

}  // namespace lmdeploy
