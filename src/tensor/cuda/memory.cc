#include <cuda_runtime_api.h>

#include <algorithm>

#include "base/format_bytes.h"
#include "tensor/cuda/cuda_error.h"
#include "tensor/cuda/device.h"

namespace lmdeploy::cuda {
namespace {

std::string readable(std::size_t bytes) {
  return format_bytes(static_cast<std::int64_t>(bytes));
}

// What was free when an allocation failed.
std::string free_memory() {
  std::size_t free = 0, total = 0;
  if (cudaMemGetInfo(&free, &total) != cudaSuccess) return "how much is free is not known";
  return fmt::format("{} of its {} are free", readable(free), readable(total));
}

// The reason why cudaMalloc and its like gave nothing.
void check_allocated(cudaError_t status, const char* call, std::size_t bytes, const std::string& where,
                     const char* remedy) {
  if (status == cudaErrorMemoryAllocation) {
    static_cast<void>(cudaGetLastError());
    throw Error(fmt::format("cannot allocate {} ({} bytes) {}", readable(bytes), bytes, where), remedy);
  }
  check(status, call, __FILE__, __LINE__);
}

class DeviceAllocator final : public Allocator {
 public:
  Allocation allocate(std::size_t bytes) override {
    void* data = nullptr;
    const cudaError_t status = cudaMalloc(&data, std::max<std::size_t>(bytes, 1));
    if (status != cudaSuccess)
      check_allocated(
          status, "cudaMalloc", bytes, "on the card: " + free_memory(),
          "End what else uses the card (nvidia-smi lists it), or lower --cache-max-entry-count or "
          "--session-len.");
    return {this, data, bytes};
  }

 private:
  void deallocate(void* data, std::size_t) noexcept override {
    if (cudaFree(data) != cudaSuccess) static_cast<void>(cudaGetLastError());
  }
};

class PinnedAllocator final : public Allocator {
 public:
  Allocation allocate(std::size_t bytes) override {
    void* data = nullptr;
    check_allocated(cudaHostAlloc(&data, std::max<std::size_t>(bytes, 1), cudaHostAllocDefault),
                    "cudaHostAlloc", bytes, "of page-locked host memory", "Free memory of the machine.");
    return {this, data, bytes};
  }

 private:
  void deallocate(void* data, std::size_t) noexcept override {
    if (cudaFreeHost(data) != cudaSuccess) static_cast<void>(cudaGetLastError());
  }
};

bool is_page_locked(const void* host) {
  cudaPointerAttributes attributes{};
  if (cudaPointerGetAttributes(&attributes, host) == cudaSuccess)
    return attributes.type != cudaMemoryTypeUnregistered;
  static_cast<void>(cudaGetLastError());
  return false;
}

}  // namespace

Allocator& device_allocator() {
  static DeviceAllocator allocator;
  return allocator;
}

Allocator& pinned_allocator() {
  static PinnedAllocator allocator;
  return allocator;
}

void copy_to_device(void* to, const void* from, std::size_t bytes, void* stream) {
  if (bytes == 0) return;
  const auto on_stream = static_cast<cudaStream_t>(stream);
  CUDA_CHECK(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, on_stream));
  // Ordinary memory has been read into a buffer of the driver by now (CUDA Runtime API, "API synchronization
  // behavior"); page-locked memory is read when the stream comes to it.
  if (is_page_locked(from)) CUDA_CHECK(cudaStreamSynchronize(on_stream));
}

void copy_to_host(void* to, const void* from, std::size_t bytes, void* stream) {
  if (bytes == 0) return;
  const auto on_stream = static_cast<cudaStream_t>(stream);
  CUDA_CHECK(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, on_stream));
  CUDA_CHECK(cudaStreamSynchronize(on_stream));
}

}  // namespace lmdeploy::cuda
