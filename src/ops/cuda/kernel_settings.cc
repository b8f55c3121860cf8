#include "ops/cuda/kernel_settings.h"

#include <map>
#include <mutex>
#include <utility>

namespace lmdeploy::ops::cuda {
namespace {

struct Prepared {
  KernelSettings settings;
  std::size_t shared_bytes = 0;  // at most, so far
};

constexpr std::size_t kDefaultSharedBytes = std::size_t{48} << 10;  // what every kernel may have

cudaError_t ask(const void* kernel, Prepared& prepared) {
  cudaFuncAttributes attributes{};
  if (const cudaError_t status = cudaFuncGetAttributes(&attributes, kernel); status != cudaSuccess)
    return status;
  prepared.settings.waits_for_predecessor = attributes.ptxVersion >= 90 && attributes.binaryVersion >= 90;
  prepared.shared_bytes = kDefaultSharedBytes - attributes.sharedSizeBytes;
  return cudaFuncSetAttribute(kernel, cudaFuncAttributePreferredSharedMemoryCarveout,
                              cudaSharedmemCarveoutMaxShared);
}

}  // namespace

cudaError_t prepare_kernel(const void* kernel, std::size_t shared_bytes, KernelSettings& settings) {
  static std::mutex mutex;
  static std::map<std::pair<int, const void*>, Prepared> kernels;
  int device = 0;
  if (const cudaError_t status = cudaGetDevice(&device); status != cudaSuccess) return status;
  const std::lock_guard lock(mutex);
  const auto [it, is_new] = kernels.try_emplace({device, kernel});
  Prepared& prepared = it->second;
  cudaError_t status = is_new ? ask(kernel, prepared) : cudaSuccess;
  if (status == cudaSuccess && shared_bytes > prepared.shared_bytes) {
    status = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                  static_cast<int>(shared_bytes));
    if (status == cudaSuccess) prepared.shared_bytes = shared_bytes;
  }
  if (status != cudaSuccess && is_new) kernels.erase(it);
  settings = prepared.settings;
  return status;
}

}  // namespace lmdeploy::ops::cuda
