#pragma once
#include <string>
#include <vector>

#include "server/http_message.h"

namespace lmdeploy {

// True where no key is asked for, or `Authorization: Bearer KEY` or `x-api-key: KEY` carries one of `keys`.
// Takes the same time for every wrong key of a length.
bool has_valid_key(const HttpRequest& request, const std::vector<std::string>& keys);

}  // namespace lmdeploy
