#pragma once
#include <algorithm>

#include "ops/cuda/card_limits.h"
#include "ops/cuda/linear_output.h"

namespace lmdeploy::ops::cuda {

// Shared memory for the blocks of a kernel of few tokens, one for each multiprocessor, so that they are
// spread over all of them.
//
// They are set up where there is room beside their predecessor's (chained_launch.cuh). Behind a predecessor
// that covers the card that is once on each multiprocessor, as half of one is theirs. Behind attention, which
// seldom covers it, a multiprocessor would get two blocks and another none, and the kernel after the next
// again. So what comes behind it and behind every second kernel, the layers that are added to the residual
// stream, takes more than half; the others, between those, have the rest.
inline std::size_t spread_out(std::size_t shared_bytes, const LinearOutput& out, const CardLimits& card) {
  return out.accumulate ? std::max(shared_bytes, card.exclusive_shared_bytes) : shared_bytes;
}

}  // namespace lmdeploy::ops::cuda
