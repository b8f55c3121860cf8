#pragma once
#include <string>
#include <vector>

#include "server/http_message.h"

namespace lmdeploy {

// Who asks. What one caller has started no other may end, continue or time.
struct Caller {
  std::string owner;  // of running answers: the API key's place in the list; without keys the peer's address
  std::string cache_salt;  // of the prefix cache: one for each key; empty where no keys are asked for
};

// The request has passed has_valid_key().
Caller caller_of(const HttpRequest& request, const std::vector<std::string>& keys);

}  // namespace lmdeploy
