#include "client/error_message.h"

#include <nlohmann/json.hpp>

namespace lmdeploy::client {
namespace {

constexpr std::size_t kMaxPlainBytes = 500;  // of a body that is no JSON, such as a proxy's page

}  // namespace

std::string error_message(const std::string& body) {
  const auto json = nlohmann::json::parse(body, nullptr, false);
  if (!json.is_object()) return body.substr(0, kMaxPlainBytes);
  const auto& error = json.contains("error") ? json["error"] : json;
  if (error.is_string()) return error.get<std::string>();
  for (const char* key : {"message", "detail"})
    if (error.is_object() && error.contains(key))
      return error[key].is_string() ? error[key].get<std::string>() : error[key].dump();
  return body.substr(0, kMaxPlainBytes);
}

}  // namespace lmdeploy::client
