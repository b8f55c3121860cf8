#pragma once
// The routes, and who may take them.
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "server/exchange.h"
#include "server/server.h"

namespace lmdeploy {

struct RouteContext;

struct Route {
  enum class Access : std::uint8_t { key, open };

  std::string_view method;
  std::string_view path;  // "/*" stands for any rest at the end, for one name elsewhere
  Access access;
  void (*run)(const RouteContext& context, std::shared_ptr<Exchange> exchange);
  std::string_view summary;                        // for /openapi.json
  std::string_view produces = "application/json";  // the answer's media type
  bool ServerOptions::* disabled_by = nullptr;     // the option that takes the route away

  bool matches(std::string_view path) const;
};

class RouteTable {
 public:
  explicit RouteTable(const ServerOptions& options);

  const std::vector<Route>& routes() const { return routes_; }

  // nullptr: nobody's. HEAD is taken where GET is.
  const Route* find(std::string_view path, std::string_view method) const;

  // For Allow: empty where the path is nobody's. "*" stands for all paths.
  std::string methods_of(std::string_view path) const;

  bool is_open(std::string_view path) const;

  // The path as the table has it, bounded in number; "none" where it is nobody's.
  std::string_view pattern_of(std::string_view path) const;

 private:
  const Route* find_path(std::string_view path) const;

  std::vector<Route> routes_;
};

}  // namespace lmdeploy
