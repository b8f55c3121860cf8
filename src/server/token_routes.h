#pragma once
// Routes that answer with tokens or their text, without the engine.
#include "server/routes.h"

namespace lmdeploy {

void encode(const RouteContext& context, std::shared_ptr<Exchange> exchange);
void tokenize(const RouteContext& context, std::shared_ptr<Exchange> exchange);
void detokenize(const RouteContext& context, std::shared_ptr<Exchange> exchange);

}  // namespace lmdeploy
