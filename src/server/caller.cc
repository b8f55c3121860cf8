#include "server/caller.h"

#include <fmt/format.h>

#include "base/error.h"
#include "server/api_keys.h"

namespace lmdeploy {

Caller caller_of(const HttpRequest& request, const std::vector<std::string>& keys) {
  if (keys.empty())
    return {.owner = fmt::format("address {}", request.remote.substr(0, request.remote.rfind(':'))),
            .cache_salt = {}};
  const auto idx = find_key(request, keys);
  CHECK(idx.has_value(), "{} {} has passed without a key", request.method, request.path);
  const std::string name = fmt::format("key {}", *idx);
  return {.owner = name, .cache_salt = name};
}

}  // namespace lmdeploy
