#include "server/metrics_route.h"

#include "base/error.h"
#include "server/metrics.h"

namespace lmdeploy {

void metrics(const RouteContext& context, std::shared_ptr<Exchange> exchange) {
  CHECK(context.model.metrics != nullptr, "the route is there only where metrics are");
  HttpResponse response{.status = 200, .headers = {}, .body = context.model.metrics->text()};
  response.set("Content-Type", "text/plain; version=0.0.4; charset=utf-8");
  exchange->reply(std::move(response));
}

}  // namespace lmdeploy
