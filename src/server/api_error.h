#pragma once
#include <string>
#include <vector>

#include "base/error.h"
#include "server/http_message.h"

namespace lmdeploy {

// A request that is answered with an error, in OpenAI's shape: {"error": {message, type, param, code}}.
struct ApiErrorFields {
  std::string param = {};  // the field at fault, e.g. "messages[1].content"; empty: null
  std::string code = {};   // for programs, e.g. "context_length_exceeded"; empty: the status' own, or null
};

class ApiError : public Error {
 public:
  ApiError(int status, std::string message, ApiErrorFields fields = {})
      : Error(std::move(message)), status_(status), fields_(std::move(fields)) {}

  int status() const noexcept { return status_; }
  std::string body() const;       // the JSON object
  HttpResponse response() const;  // with Retry-After, Allow and the like where the status asks for one

 private:
  int status_;
  ApiErrorFields fields_;
};

ApiError model_not_found(const std::string& name, const std::vector<std::string>& names);

}  // namespace lmdeploy
