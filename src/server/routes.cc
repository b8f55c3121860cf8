#include "server/routes.h"

#include <fmt/ranges.h>

#include <array>
#include <set>

#include "base/log.h"
#include "server/answer_routes.h"
#include "server/api_error.h"
#include "server/api_keys.h"
#include "server/model_routes.h"

namespace lmdeploy {
namespace {

enum class Access : std::uint8_t { key, open };

struct Route {
  std::string_view method;
  std::string_view path;  // a final "/*" stands for any rest
  Access access;
  void (*run)(const RouteContext& context, std::shared_ptr<Exchange> exchange);
};

// The next route is a row here and a function in a *_routes.cc.
constexpr std::array kRoutes{
    Route{"GET", "/health", Access::open, health},
    Route{"GET", "/v1/models", Access::key, list_models},
    Route{"GET", "/v1/models/*", Access::key, get_model},
    Route{"POST", "/v1/chat/completions", Access::key, chat_completions},
    Route{"POST", "/v1/completions", Access::key, completions},
};

bool matches(const Route& route, std::string_view path) {
  if (!route.path.ends_with("/*")) return route.path == path;
  const std::string_view prefix = route.path.substr(0, route.path.size() - 1);
  return path.starts_with(prefix) && path.size() > prefix.size();
}

const Route* find_route(std::string_view path, std::string_view method) {
  if (method == "HEAD") method = "GET";
  for (const Route& route : kRoutes)
    if (route.method == method && matches(route, path)) return &route;
  return nullptr;
}

// For Allow: empty where the path is nobody's.
std::string methods_of(std::string_view path) {
  std::set<std::string_view> methods;
  for (const Route& route : kRoutes)
    if (path == "*" || matches(route, path)) methods.insert(route.method);
  if (methods.contains("GET")) methods.insert("HEAD");
  if (!methods.empty()) methods.insert("OPTIONS");
  return fmt::format("{}", fmt::join(methods, ", "));
}

bool is_open(std::string_view path) {
  for (const Route& route : kRoutes)
    if (matches(route, path)) return route.access == Access::open;
  return false;
}

// A page of another origin can send a form or text/plain without asking first; JSON it cannot.
bool is_json(const HttpRequest& head) {
  const std::string* content_type = head.header("Content-Type");
  if (content_type == nullptr) return true;
  const std::string_view media_type =
      std::string_view(*content_type).substr(0, content_type->find_first_of("; "));
  return equals_ignoring_case(media_type, "application/json") || media_type.ends_with("+json");
}

std::optional<ApiError> check_body_headers(const HttpRequest& head) {
  if (head.header("Content-Length") == nullptr && head.header("Transfer-Encoding") == nullptr)
    return ApiError(411, "expected a body with Content-Length or Transfer-Encoding: chunked, found none");
  if (!is_json(head))
    return ApiError(
        415, fmt::format("expected Content-Type: application/json, found {}", *head.header("Content-Type")));
  const std::string* encoding = head.header("Content-Encoding");
  if (encoding != nullptr && !equals_ignoring_case(*encoding, "identity"))
    return ApiError(415, fmt::format("expected a plain body, found Content-Encoding: {}", *encoding));
  return std::nullopt;
}

// A token's text is never longer than its spelling in the vocabulary.
std::size_t longest_prompt_bytes(const ServedModel& model) {
  std::size_t token_bytes = 1;
  for (TokenId id = 0; id < model.tokenizer.vocab_size(); ++id)
    token_bytes = std::max(token_bytes, model.tokenizer.id_to_token(id).size());
  return token_bytes * static_cast<std::size_t>(model.engine.session_len());
}

HttpResponse options_response(const std::string& methods) {
  HttpResponse response{.status = 204, .headers = {}, .body = {}};
  response.set("Allow", methods);
  return response;
}

}  // namespace

Routes::Routes(const ServerOptions& options, const ServedModel& model)
    : options_(options),
      cors_(options),
      admission_(options.max_concurrent_requests),
      context_{options, model, admission_, longest_prompt_bytes(model)} {}

std::optional<HttpResponse> Routes::refuse(const HttpRequest& head) {
  const std::string methods = methods_of(head.path);
  if (head.method == "OPTIONS" && !methods.empty())
    return Cors::is_preflight(head) ? cors_.preflight_response(head, methods) : options_response(methods);
  // The key comes before anything that would tell which routes there are.
  if (!is_open(head.path) && !has_valid_key(head, options_.api_keys))
    return ApiError(401, "expected a valid API key in `Authorization: Bearer KEY`").response();
  if (methods.empty())
    return ApiError(404, fmt::format("no such route: {} {}", head.method, head.path)).response();
  const Route* route = find_route(head.path, head.method);
  if (route == nullptr) {
    HttpResponse response =
        ApiError(405, fmt::format("{} does not take {}, only {}", head.path, head.method, methods))
            .response();
    response.set("Allow", methods);
    return response;
  }
  if (route->method == "POST")
    if (const auto error = check_body_headers(head)) return error->response();
  return std::nullopt;
}

void Routes::handle(std::shared_ptr<Exchange> exchange) {
  const HttpRequest& request = exchange->request();
  const Route* route = find_route(request.path, request.method);
  CHECK(route != nullptr, "{} {} has passed refuse()", request.method, request.path);
  try {
    route->run(context_, exchange);
  } catch (const ApiError& e) {
    exchange->reply(e.response());
  } catch (const Error& e) {
    exchange->reply(ApiError(400, e.what()).response());
  }
}

void Routes::decorate(const HttpRequest& request, HttpResponse& response) {
  cors_.add_headers(request, response);
}

HttpResponse Routes::error_response(int status, const std::string& message) {
  return ApiError(status, message).response();
}

void Routes::done(const HttpRequest& request, int status, double seconds) {
  if (!options_.log_requests) return;
  log::info("{} {} {} {} -> {} in {:.3f} s", request.id, request.remote,
            request.method.empty() ? "-" : request.method, request.path.empty() ? "-" : request.path, status,
            seconds);
}

}  // namespace lmdeploy
