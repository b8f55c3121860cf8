#pragma once
#include <cstddef>

namespace lmdeploy::ops::cuda {

struct CardLimits {
  int num_multiprocessors = 0;
  std::size_t max_shared_bytes = 0;  // that a block may ask for
  // A block that asks for at least so much has no other of its kind beside it on a multiprocessor, but room
  // for half of another kernel; 0: blocks there may not ask for so much.
  std::size_t exclusive_shared_bytes = 0;
};
CardLimits card_limits();  // of the current card

}  // namespace lmdeploy::ops::cuda
