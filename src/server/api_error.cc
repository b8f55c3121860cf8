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

HttpResponse ApiError::response() const {
  HttpResponse response = json_response(status_, body());
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
