#pragma once
#include <cstdint>
#include <string>

#include "client/hub_connection.h"

namespace lmdeploy::client {

// The first `count` bytes of a file of a revision, or all of them where it has fewer; told to the options'
// on_progress. Throws Error.
std::string fetch_first_bytes(HubConnection& hub, const HubRepo& repo, const std::string& revision,
                              const std::string& path, std::int64_t count);

}  // namespace lmdeploy::client
