#include "proxy/page_proxy.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/log.h"
#include "client/http_client.h"
#include "server/api_error.h"
#include "server/page_routes.h"

namespace lmdeploy {
namespace {

constexpr std::array<std::string_view, 7> kMethods{"GET",   "HEAD",   "POST",   "PUT",
                                                   "PATCH", "DELETE", "OPTIONS"};

bool is_of_page(const HttpRequest& request) {
  const bool reads = request.method == "GET" || request.method == "HEAD";
  return reads && (request.path == "/" || request.path == "/chat" || request.path.starts_with("/chat/"));
}

// Which could lead out of the path that the upstream's URL ends with.
bool has_dot_segment(const std::string& path) {
  return (path + "/").find("/../") != std::string::npos || (path + "/").find("/./") != std::string::npos;
}

}  // namespace

std::string normalized_upstream(std::string url) {
  if (url.find("://") == std::string::npos) url = "http://" + url;
  while (url.ends_with('/')) url.pop_back();
  if (url.ends_with("/v1")) url.resize(url.size() - 3);
  client::origin_of(url);
  return url;
}

PageProxy::PageProxy(const ServerOptions& options, const std::string& upstream_url)
    : options_(options),
      upstream_(std::make_unique<Upstream>(normalized_upstream(upstream_url))),
      http_(std::make_unique<HttpServer>(options, *this)) {
  http_->start();
}

PageProxy::~PageProxy() = default;

std::uint16_t PageProxy::port() const noexcept {
  return http_->port();
}

void PageProxy::run() {
  http_->handle_signals();
  http_->run();
}

std::optional<HttpResponse> PageProxy::refuse(const HttpRequest& head) {
  if (std::find(kMethods.begin(), kMethods.end(), head.method) == kMethods.end())
    return ApiError(405, fmt::format("{} does not pass this proxy", head.method)).response_to(head);
  if (has_dot_segment(head.path))
    return ApiError(404, fmt::format("no such route: {} {}", head.method, head.path)).response_to(head);
  if (draining_ && head.method == "POST")
    return ApiError(503, "the server is shutting down and takes no new requests").response_to(head);
  return std::nullopt;
}

void PageProxy::handle(std::shared_ptr<Exchange> exchange) {
  if (is_of_page(exchange->request()))
    exchange->reply(page_response(exchange->request()));
  else
    upstream_->forward(std::move(exchange));
}

HttpResponse PageProxy::error_response(const HttpRequest& request, int status, const std::string& message) {
  return ApiError(status, message).response_to(request);
}

void PageProxy::done(const HttpRequest& request, const HttpOutcome& outcome) {
  if (options_.log_requests)
    log::info("{} {} {} {} -> {} in {:.3f} s", request.id, request.remote, request.method,
              client::escape_path(request.path), outcome.status, outcome.seconds);
}

}  // namespace lmdeploy
