#pragma once
#include <string>
#include <vector>

#include "base/error.h"
#include "server/http_message.h"

namespace lmdeploy {

// A request that is answered with an error, in the shape of the API that it belongs to: OpenAI's {"error":
// {message, type, param, code}}, or below /v1/messages Anthropic's {"type": "error", "error": {type,
// message}}.
struct ApiErrorFields {
  std::string param = {};  // the field at fault, e.g. "messages[1].content"; empty: null
  std::string code = {};   // for programs, e.g. "context_length_exceeded"; empty: the status' own, or null
};

class ApiError : public Error {
 public:
  ApiError(int status, std::string message, ApiErrorFields fields = {})
      : Error(std::move(message)), status_(status), fields_(std::move(fields)) {}

  int status() const noexcept { return status_; }
  std::string body() const;  // OpenAI's JSON object
  std::string anthropic_body(const std::string& request_id) const;
  // With Retry-After and the like where the status asks for one.
  HttpResponse response() const;
  HttpResponse response_to(const HttpRequest& request) const;

 private:
  HttpResponse response_with(std::string body) const;

  int status_;
  ApiErrorFields fields_;
};

ApiError model_not_found(const std::string& name, const std::vector<std::string>& names);

}  // namespace lmdeploy
