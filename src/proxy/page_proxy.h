#pragma once
// The chat page in front of a server elsewhere: the page comes from here, everything else from there.
#include "proxy/upstream.h"
#include "server/http_server.h"

namespace lmdeploy {

class PageProxy final : public HttpHandler {
 public:
  // Listens at options.server_name and server_port. Throws Error as HttpServer does, and on a malformed URL.
  PageProxy(const ServerOptions& options, const std::string& upstream_url);
  ~PageProxy() override;

  std::uint16_t port() const noexcept;
  void run();  // until SIGTERM or SIGINT, then drains and returns

  std::optional<HttpResponse> refuse(const HttpRequest& head) override;
  void handle(std::shared_ptr<Exchange> exchange) override;
  void decorate(const HttpRequest&, HttpResponse&) override {}
  HttpResponse error_response(const HttpRequest& request, int status, const std::string& message) override;
  void begin_drain() override { draining_ = true; }
  void done(const HttpRequest& request, const HttpOutcome& outcome) override;

 private:
  const ServerOptions& options_;
  std::atomic<bool> draining_{false};
  std::unique_ptr<Upstream> upstream_;
  std::unique_ptr<HttpServer> http_;  // ends first
};

// "http://host:port" of what a user writes: with or without a scheme, a final slash or /v1. Throws Error.
std::string normalized_upstream(std::string url);

}  // namespace lmdeploy
