#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "server/answer_report.h"
#include "server/http_message.h"

namespace lmdeploy {

// One request and its answer, as a route sees them: either reply(), or start_stream(), send()... and
// finish(). Calls are made on the connection's strand, where handle() runs, apart from those that say that
// any thread may make them. Calls after the client has gone do nothing.
class Exchange {
 public:
  virtual ~Exchange() = default;

  virtual const HttpRequest& request() const = 0;

  virtual void reply(HttpResponse response) = 0;  // from any thread

  // The head at once, then the body piece by piece. A reader that lets too much pile up is cut off.
  virtual void start_stream(HttpResponse head) = 0;
  virtual void send(std::string_view data) = 0;
  virtual void finish() = 0;

  // From any thread. Runs the task on the strand: later and in order, or now where the caller is on it.
  virtual void post(std::function<void()> task) = 0;
  virtual void dispatch(std::function<void()> task) = 0;

  virtual bool is_gone() const = 0;  // from any thread

  // Called at most once, on the strand, when nobody will read the answer any more, at once where that is so
  // already: the client closed, half-closed, reset, or does not read; or the server stops. Not called after
  // reply() or finish().
  virtual void on_gone(std::function<void()> callback) = 0;

  // What HttpHandler::done() is told of the answer.
  virtual void set_report(const AnswerReport& report) = 0;
};

// How a request ended.
struct HttpOutcome {
  int status = 0;      // 499: the client left before the answer's end
  double seconds = 0;  // from the request's last byte to the answer's
  std::optional<AnswerReport> report = {};
};

// What a server does with requests. Shared by all connections: calls come from several threads.
class HttpHandler {
 public:
  virtual ~HttpHandler() = default;

  // Sees the head before the body is read. A response ends the request there and closes the connection.
  virtual std::optional<HttpResponse> refuse(const HttpRequest& head) = 0;

  virtual void handle(std::shared_ptr<Exchange> exchange) = 0;

  // The answer to bytes that are no request, and to one that comes too late (408) or too many (503).
  // `request`: as much of it as is known.
  virtual HttpResponse error_response(const HttpRequest& request, int status, const std::string& message) = 0;

  // Adds what every answer to this request carries.
  virtual void decorate(const HttpRequest& request, HttpResponse& response) = 0;

  // The server has been told to stop: refuse what is new.
  virtual void begin_drain() = 0;

  // After an answer: for the log.
  virtual void done(const HttpRequest& request, const HttpOutcome& outcome) = 0;
};

}  // namespace lmdeploy
