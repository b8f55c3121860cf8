#pragma once
#include "base/task_threads.h"
#include "server/admission.h"
#include "server/cors.h"
#include "server/exchange.h"
#include "server/metrics.h"
#include "server/request_limits.h"
#include "server/response_store.h"
#include "server/route_table.h"
#include "server/running_answers.h"
#include "server/served_model.h"
#include "server/server.h"
#include "server/sessions.h"
#include "text/grammar.h"

namespace lmdeploy {

// What a route's function may use.
struct RouteContext {
  const ServerOptions& options;
  const ServedModel& model;
  Admission& admission;
  RunningAnswers& running;
  Sessions& sessions;
  ResponseStore& responses;
  GrammarCompiler& grammars;
  const std::atomic<bool>& draining;  // told to stop: nothing new is begun
  RequestLimits limits;
  std::size_t max_prompt_bytes;  // a longer text cannot fit into a session
  std::string openapi;           // the document; empty with --disable-fastapi-docs
};

// Finds the route of a request, checks key, method and headers, and runs it.
class Routes final : public HttpHandler {
 public:
  explicit Routes(const ServerOptions& options);

  // Until then every request is told that the model is being loaded. Once.
  void serve(const ServedModel& model);

  std::optional<HttpResponse> refuse(const HttpRequest& head) override;
  void handle(std::shared_ptr<Exchange> exchange) override;
  void decorate(const HttpRequest& request, HttpResponse& response) override;
  HttpResponse error_response(const HttpRequest& request, int status, const std::string& message) override;
  void begin_drain() override { draining_ = true; }
  void done(const HttpRequest& request, const HttpOutcome& outcome) override;

 private:
  void run(const Route& route, const std::shared_ptr<Exchange>& exchange) const;
  std::optional<HttpResponse> refuse_by_state(const Route& route, const HttpRequest& head) const;

  const ServerOptions& options_;
  const RouteTable table_;
  Cors cors_;
  Admission admission_;
  RunningAnswers running_;
  Sessions sessions_;
  ResponseStore responses_;
  std::atomic<bool> draining_{false};
  std::optional<Metrics> metrics_;  // empty with --disable-metrics
  std::optional<ServedModel> model_;
  std::optional<RouteContext> served_;
  std::atomic<const RouteContext*> context_{nullptr};  // of served_, once it is whole
  std::optional<GrammarCompiler> grammars_;            // of the model; its threads may use all of the above
  // A thread for requests whose text takes long to read, so that the threads of the sockets stay free to send
  // what others wait for. Last: its tasks may use all of the above.
  TaskThreads text_worker_{1};
};

}  // namespace lmdeploy
