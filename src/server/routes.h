#pragma once
#include "server/admission.h"
#include "server/cors.h"
#include "server/exchange.h"
#include "server/served_model.h"
#include "server/server.h"

namespace lmdeploy {

// What a route's function may use.
struct RouteContext {
  const ServerOptions& options;
  const ServedModel& model;
  Admission& admission;
  std::size_t max_prompt_bytes;  // a longer text cannot fit into a session
};

// Finds the route of a request, checks key, method and headers, and runs it.
class Routes final : public HttpHandler {
 public:
  Routes(const ServerOptions& options, const ServedModel& model);

  std::optional<HttpResponse> refuse(const HttpRequest& head) override;
  void handle(std::shared_ptr<Exchange> exchange) override;
  void decorate(const HttpRequest& request, HttpResponse& response) override;
  HttpResponse error_response(int status, const std::string& message) override;
  void done(const HttpRequest& request, int status, double seconds) override;

 private:
  const ServerOptions& options_;
  Cors cors_;
  Admission admission_;
  RouteContext context_;
};

}  // namespace lmdeploy
