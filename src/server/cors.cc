#include "server/cors.h"

#include <fmt/ranges.h>

#include <algorithm>

namespace lmdeploy {
namespace {

bool has_wildcard(const std::vector<std::string>& list) {
  return std::find(list.begin(), list.end(), "*") != list.end();
}

}  // namespace

bool Cors::allows(const std::string& origin) const {
  const auto& origins = options_.allow_origins;
  return has_wildcard(origins) || std::find(origins.begin(), origins.end(), origin) != origins.end();
}

void Cors::add_headers(const HttpRequest& request, HttpResponse& response) const {
  const std::string* origin = request.header("Origin");
  if (origin == nullptr || !allows(*origin)) return;
  // With credentials a browser takes no wildcard, so the origin is named.
  const bool wildcard = has_wildcard(options_.allow_origins) && !options_.allow_credentials;
  response.set("Access-Control-Allow-Origin", wildcard ? "*" : *origin);
  if (!wildcard) response.set("Vary", "Origin");
  if (options_.allow_credentials) response.set("Access-Control-Allow-Credentials", "true");
  response.set("Access-Control-Expose-Headers", "x-request-id, x-lmdeploy-timings, Retry-After");
}

bool Cors::is_preflight(const HttpRequest& request) {
  return request.method == "OPTIONS" && request.header("Origin") != nullptr &&
         request.header("Access-Control-Request-Method") != nullptr;
}

HttpResponse Cors::preflight_response(const HttpRequest& request, const std::string& route_methods) const {
  HttpResponse response{.status = 204, .headers = {}, .body = {}};
  if (!allows(*request.header("Origin"))) return response;
  const auto& methods = options_.allow_methods;
  response.set("Access-Control-Allow-Methods",
               has_wildcard(methods) ? route_methods : fmt::format("{}", fmt::join(methods, ", ")));
  // Authorization is not covered by a wildcard, so the names that were asked for are repeated.
  const std::string* asked = request.header("Access-Control-Request-Headers");
  const auto& headers = options_.allow_headers;
  if (!has_wildcard(headers))
    response.set("Access-Control-Allow-Headers", fmt::format("{}", fmt::join(headers, ", ")));
  else if (asked != nullptr)
    response.set("Access-Control-Allow-Headers", *asked);
  response.set("Access-Control-Max-Age", "600");
  return response;
}

}  // namespace lmdeploy
