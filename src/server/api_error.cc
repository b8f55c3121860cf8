#include "server/api_error.h"

#include <fmt/ranges.h>

#include "server/json.h"

namespace lmdeploy {
namespace {

std::string_view type_of(int status) {
  if (status == 401 || status == 403) return "authentication_error";
  if (status == 429) return "rate_limit_error";
  return status >= 500 ? "server_error" : "invalid_request_error";
}

std::string_view code_of(int status) {
  switch (status) {
    case 401:
      return "invalid_api_key";
    case 429:
      return "rate_limit_exceeded";
    case 502:
      return "bad_gateway";
    case 503:
      return "service_unavailable";
    case 504:
      return "timeout";
    default:
      return "";
  }
}

std::string_view anthropic_type_of(int status) {
  switch (status) {
    case 401:
      return "authentication_error";
    case 403:
      return "permission_error";
    case 404:
      return "not_found_error";
    case 413:
      return "request_too_large";
    case 429:
      return "rate_limit_error";
    case 503:
      return "overloaded_error";
    case 504:
      return "timeout_error";
    default:
      return status >= 500 ? "api_error" : "invalid_request_error";
  }
}

bool is_anthropic_path(std::string_view path) {
  constexpr std::string_view kMessages = "/v1/messages";
  return path == kMessages || (path.starts_with(kMessages) && path[kMessages.size()] == '/');
}

Json string_or_null(std::string_view text) {
  return text.empty() ? Json(nullptr) : Json(text);
}

}  // namespace

std::string ApiError::body() const {
  Json error;
  error["message"] = problem();
  error["type"] = type_of(status_);
  error["param"] = string_or_null(fields_.param);
  error["code"] = string_or_null(fields_.code.empty() ? code_of(status_) : fields_.code);
  return dump_json(Json{{"error", error}});
}

std::string ApiError::anthropic_body(const std::string& request_id) const {
  Json error{{"type", "error"}, {"error", {{"type", anthropic_type_of(status_)}, {"message", problem()}}}};
  error["request_id"] = string_or_null(request_id);
  return dump_json(error);
}

HttpResponse ApiError::response() const {
  return response_with(body());
}

HttpResponse ApiError::response_to(const HttpRequest& request) const {
  return is_anthropic_path(request.path) ? response_with(anthropic_body(request.id)) : response();
}

HttpResponse ApiError::response_with(std::string body) const {
  HttpResponse response = json_response(status_, std::move(body));
  if (status_ == 401) response.set("WWW-Authenticate", "Bearer");
  if (status_ == 429 || status_ == 503) response.set("Retry-After", "1");
  return response;
}

ApiError model_not_found(const std::string& name, const std::vector<std::string>& names) {
  return {404,
          fmt::format("the model `{}` does not exist here; served: {}", name, fmt::join(names, ", ")),
          {.param = "model", .code = "model_not_found"}};
}

}  // namespace lmdeploy
