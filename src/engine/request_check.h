#pragma once
#include <cstdint>
#include <optional>

#include "engine/engine.h"

namespace lmdeploy {

// Whether a request can be computed at all, whatever else runs; empty when it can. session_len: prompt and
// answer.
std::optional<Rejected> check_request(const Request& request, std::int32_t session_len,
                                      std::int32_t vocab_size);

}  // namespace lmdeploy
