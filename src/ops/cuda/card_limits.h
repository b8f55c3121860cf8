#pragma once
#include <algorithm>
#include <cstddef>

namespace lmdeploy::ops::cuda {

struct CardLimits {
  int num_multiprocessors = 0;
  std::size_t max_shared_bytes = 0;  // that a block may ask for
  // More than half of what a multiprocessor has; 0: a block may not ask for so much.
  std::size_t exclusive_shared_bytes = 0;

  // Shared memory for the blocks of a kernel that has one for each multiprocessor, so that none gets two of
  // them and another none.
  //
  // Blocks are set up where there is room beside their predecessor's (chained_launch.cuh). Behind a kernel
  // that is once on every multiprocessor that spreads them. Behind attention, which seldom covers the card,
  // they would crowd where it is not, and so would the kernel after them.
  std::size_t alone(std::size_t shared_bytes) const { return std::max(shared_bytes, exclusive_shared_bytes); }
};
CardLimits card_limits();  // of the current card

}  // namespace lmdeploy::ops::cuda
