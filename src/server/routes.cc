#include "server/routes.h"

#include <fmt/format.h>

#include "base/log.h"
#include "server/api_error.h"
#include "server/api_keys.h"
#include "server/model_routes.h"
#include "server/openapi.h"
#include "server/page_routes.h"

namespace lmdeploy {
namespace {

// A longer request is read by the text worker: a megabyte of text keeps a tokenizer busy for half a second.
constexpr std::size_t kMaxInlineBytes = 16 << 10;

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

// For the log: bounded, and nothing but visible ASCII.
std::string printable(std::string_view path) {
  constexpr std::size_t kMaxLoggedBytes = 200;
  if (path.empty()) return "-";
  std::string text(path.substr(0, kMaxLoggedBytes));
  for (char& c : text)
    if (c <= ' ' || c > '~') c = '?';
  if (path.size() > kMaxLoggedBytes) text += "...";
  return text;
}

std::string openapi_of(const RouteTable& table, const ServerOptions& options, const ServedModel& model,
                       const RequestLimits& limits) {
  if (options.disable_fastapi_docs) return {};
  std::vector<DocumentedRoute> routes;
  for (const Route& route : table.routes())
    routes.push_back(
        {route.method, route.path, route.summary, route.produces, route.access == Route::Access::key});
  return openapi_document(routes, {model.names.front(), !options.api_keys.empty(), limits});
}

HttpResponse options_response(const std::string& methods) {
  HttpResponse response{.status = 204, .headers = {}, .body = {}};
  response.set("Allow", methods);
  return response;
}

}  // namespace

Routes::Routes(const ServerOptions& options)
    : options_(options),
      table_(options),
      cors_(options),
      admission_(options.max_concurrent_requests),
      sessions_({.max_sessions = options.max_sessions, .idle_timeout = options.session_timeout}),
      responses_({.max_responses = options.max_stored_responses}) {}

void Routes::serve(const ServedModel& model) {
  CHECK(!served_.has_value(), "a second model");
  model_.emplace(model);
  if (!options_.disable_metrics) {
    metrics_.emplace(model.engine, model.names.front());
    model_->metrics = &*metrics_;
  }
  RequestLimits limits = options_.limits;
  limits.vocab_size = model.tokenizer.vocab_size();
  limits.hidden_size = model.engine.hidden_size();
  grammars_.emplace(model.tokenizer, model.eos_ids);
  served_.emplace(RouteContext{options_, *model_, admission_, running_, sessions_, responses_, *grammars_,
                               draining_, limits, longest_prompt_bytes(model),
                               openapi_of(table_, options_, *model_, limits)});
  context_ = &*served_;
}

std::optional<HttpResponse> Routes::refuse(const HttpRequest& head) {
  const std::string methods = table_.methods_of(head.path);
  if (head.method == "OPTIONS" && !methods.empty())
    return Cors::is_preflight(head) ? cors_.preflight_response(head, methods) : options_response(methods);
  // The key comes before anything that would tell which routes there are.
  if (!table_.is_open(head.path) && !has_valid_key(head, options_.api_keys))
    return ApiError(401, "expected a valid API key in `Authorization: Bearer KEY`").response_to(head);
  if (methods.empty())
    return ApiError(404, fmt::format("no such route: {} {}", head.method, head.path)).response_to(head);
  const Route* route = table_.find(head.path, head.method);
  if (route == nullptr) {
    HttpResponse response =
        ApiError(405, fmt::format("{} does not take {}, only {}", head.path, head.method, methods))
            .response_to(head);
    response.set("Allow", methods);
    return response;
  }
  if (route->method == "POST")
    if (const auto error = check_body_headers(head)) return error->response_to(head);
  return refuse_by_state(*route, head);
}

std::optional<HttpResponse> Routes::refuse_by_state(const Route& route, const HttpRequest& head) const {
  if (context_ == nullptr) {
    if (route.run == chat_page) return page_response(head);  // which says that the model is being loaded
    return head.path == "/health"
               ? loading_response()
               : ApiError(503, "the model is being loaded, try again later").response_to(head);
  }
  if (draining_ && head.method == "POST")
    return ApiError(503, "the server is shutting down and takes no new requests").response_to(head);
  return std::nullopt;
}

void Routes::handle(std::shared_ptr<Exchange> exchange) {
  const HttpRequest& request = exchange->request();
  const Route* route = table_.find(request.path, request.method);
  CHECK(route != nullptr, "{} {} has passed refuse()", request.method, request.path);
  if (request.body.size() <= kMaxInlineBytes) {
    run(*route, exchange);
    return;
  }
  text_worker_.post([this, route, exchange = std::move(exchange)] {
    if (exchange->is_gone()) return;
    try {
      run(*route, exchange);
    } catch (...) {
      // Where it is thrown there, the strand answers and logs it.
      exchange->post([failure = std::current_exception()] { std::rethrow_exception(failure); });
    }
  });
}

void Routes::run(const Route& route, const std::shared_ptr<Exchange>& exchange) const {
  try {
    route.run(*context_, exchange);
  } catch (const ApiError& e) {
    exchange->reply(e.response_to(exchange->request()));
  } catch (const Error& e) {
    exchange->reply(ApiError(400, e.what()).response_to(exchange->request()));
  }
}

void Routes::decorate(const HttpRequest& request, HttpResponse& response) {
  cors_.add_headers(request, response);
}

HttpResponse Routes::error_response(const HttpRequest& request, int status, const std::string& message) {
  return ApiError(status, message).response_to(request);
}

void Routes::done(const HttpRequest& request, const HttpOutcome& outcome) {
  if (context_ != nullptr && metrics_)
    metrics_->http_request(request.method, table_.pattern_of(request.path), outcome.status);
  if (!options_.log_requests || !log::default_logger_raw()->should_log(log::level::info)) return;
  std::string line =
      fmt::format("{} {} {} {} -> {} in {:.3f} s", request.id, request.remote, printable(request.method),
                  printable(request.path), outcome.status, outcome.seconds);
  if (outcome.report)
    line += fmt::format(" prompt_tokens={} completion_tokens={} {}", outcome.report->num_prompt_tokens,
                        outcome.report->num_completion_tokens,
                        timings_text(*outcome.report, outcome.seconds * 1e3));
  log::info("{}", line);
}

}  // namespace lmdeploy
