#pragma once
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "server/http_message.h"

namespace lmdeploy {

// Which of the keys the request carries, in Authorization (Bearer) or x-api-key; empty: none of them. The
// time tells nothing of how much of a key was right.
std::optional<std::size_t> find_key(const HttpRequest& request, const std::vector<std::string>& keys);

// Also where no key is asked for.
bool has_valid_key(const HttpRequest& request, const std::vector<std::string>& keys);

}  // namespace lmdeploy
