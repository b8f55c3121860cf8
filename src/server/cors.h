#pragma once
#include "server/http_message.h"
#include "server/server.h"

namespace lmdeploy {

// Which pages of other origins may read the answers (the Fetch standard's CORS protocol).
class Cors {
 public:
  explicit Cors(const ServerOptions& options) : options_(options) {}

  // What every answer carries; nothing where the request has no Origin or one that is not allowed.
  void add_headers(const HttpRequest& request, HttpResponse& response) const;

  static bool is_preflight(const HttpRequest& request);
  HttpResponse preflight_response(const HttpRequest& request, const std::string& route_methods) const;

 private:
  bool allows(const std::string& origin) const;

  const ServerOptions& options_;
};

}  // namespace lmdeploy
