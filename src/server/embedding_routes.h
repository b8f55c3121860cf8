#pragma once
#include "server/routes.h"

namespace lmdeploy {

void embeddings(const RouteContext& context, std::shared_ptr<Exchange> exchange);

}  // namespace lmdeploy
