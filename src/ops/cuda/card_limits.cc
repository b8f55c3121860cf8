#include "ops/cuda/card_limits.h"

#include <cuda_runtime_api.h>

#include <map>
#include <mutex>

#include "tensor/cuda/cuda_error.h"

namespace lmdeploy::ops::cuda {
namespace {

int attribute(cudaDeviceAttr which, int device) {
  int value = 0;
  CUDA_CHECK(cudaDeviceGetAttribute(&value, which, device));
  return value;
}

CardLimits ask(int device) {
  constexpr int kStaticBytes = 1024;  // what kernels have besides; a block takes as much for the system
  constexpr int kMarginBytes = 1024;
  const int of_block = attribute(cudaDevAttrMaxSharedMemoryPerBlockOptin, device) - kStaticBytes,
            exclusive = attribute(cudaDevAttrMaxSharedMemoryPerMultiprocessor, device) / 2 + kMarginBytes;
  CardLimits card;
  card.num_multiprocessors = attribute(cudaDevAttrMultiProcessorCount, device);
  card.max_shared_bytes = static_cast<std::size_t>(of_block);
  card.exclusive_shared_bytes = exclusive <= of_block ? static_cast<std::size_t>(exclusive) : 0;
  return card;
}

}  // namespace

CardLimits card_limits() {
  static std::mutex mutex;
  static std::map<int, CardLimits> cards;
  int device = 0;
  CUDA_CHECK(cudaGetDevice(&device));
  const std::lock_guard lock(mutex);
  const auto it = cards.find(device);
  return it != cards.end() ? it->second : cards[device] = ask(device);
}

}  // namespace lmdeploy::ops::cuda
