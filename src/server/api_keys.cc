#include "server/api_keys.h"

namespace lmdeploy {
namespace {

bool equal_in_constant_time(std::string_view given, std::string_view key) {
  unsigned difference = given.size() != key.size();
  for (std::size_t i = 0; i < given.size(); ++i) {
    const char expected = key.empty() ? '\0' : key[i % key.size()];
    difference |= static_cast<unsigned char>(given[i]) ^ static_cast<unsigned char>(expected);
  }
  return difference == 0;
}

std::string_view bearer_token(const HttpRequest& request) {
  constexpr std::string_view kScheme = "Bearer ";
  const std::string* authorization = request.header("Authorization");
  if (authorization == nullptr) return {};
  const std::string_view value = *authorization;
  if (!equals_ignoring_case(value.substr(0, kScheme.size()), kScheme)) return {};
  return value.substr(std::min(value.find_first_not_of(' ', kScheme.size()), value.size()));
}

}  // namespace

std::optional<std::size_t> find_key(const HttpRequest& request, const std::vector<std::string>& keys) {
  std::string_view given = bearer_token(request);
  if (const std::string* key = request.header("x-api-key"); given.empty() && key != nullptr) given = *key;
  if (given.empty()) return std::nullopt;
  // Every key is looked at, whatever the others said.
  std::size_t found = keys.size();
  for (std::size_t i = 0; i < keys.size(); ++i) found = equal_in_constant_time(given, keys[i]) ? i : found;
  return found < keys.size() ? std::optional(found) : std::nullopt;
}

bool has_valid_key(const HttpRequest& request, const std::vector<std::string>& keys) {
  return keys.empty() || find_key(request, keys).has_value();
}

}  // namespace lmdeploy
