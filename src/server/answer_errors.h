#pragma once
// What a client is told of an answer that was not taken, or has failed.
#include <string>

#include "engine/engine.h"
#include "server/api_error.h"
#include "server/generation.h"

namespace lmdeploy {

// param: the request's field for its prompt.
ApiError error_of(const Rejected& rejected, std::string param);

bool is_failure(FinishReason reason);
// Of a delta whose finish_reason is a failure. The client's own abort has no reader; what is left is the
// server's end.
ApiError error_of(const TextDelta& delta);

}  // namespace lmdeploy
