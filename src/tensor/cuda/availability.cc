#include <cuda_runtime_api.h>
#include <fmt/format.h>

#include "tensor/cuda/device.h"
#include "tensor/cuda/used_memory.h"

namespace lmdeploy::cuda {
namespace {

constexpr int kMinComputeMajor = 8;  // mma of bf16, cp.async: the kernels' least

// NVIDIA's release notes of CUDA, "Minimum required driver version for CUDA minor version compatibility".
const char* min_driver() {
  constexpr int kMajor = CUDART_VERSION / 1000;
  if constexpr (kMajor == 12) return "525.60";
  if constexpr (kMajor == 13) return "580.65";
  return "the one that NVIDIA lists for it";
}

std::string dotted(int version) {  // 12080: "12.8"
  return fmt::format("{}.{}", version / 1000, version % 1000 / 10);
}

// Forgets the error, too.
std::string words(cudaError_t status) {
  static_cast<void>(cudaGetLastError());
  return fmt::format("{} ({})", cudaGetErrorString(status), cudaGetErrorName(status));
}

std::string driver_reason(const Availability& found) {
  if (found.driver_version == 0)
    return fmt::format(
        "there is no NVIDIA driver (libcuda.so.1). Install the NVIDIA driver, version {} or newer; in a "
        "container, "
        "start it with the NVIDIA container toolkit (docker run --gpus all).",
        min_driver());
  if (found.driver_version / 1000 < found.runtime_version / 1000)
    return fmt::format(
        "the NVIDIA driver is for CUDA {}, this program was built with CUDA {}. Update the driver to at "
        "least "
        "version {}.",
        dotted(found.driver_version), dotted(found.runtime_version), min_driver());
  return {};
}

std::string count_reason(cudaError_t status) {
  if (status == cudaErrorNoDevice || status == cudaSuccess)
    return "the NVIDIA driver shows no card. See what nvidia-smi -L lists; if it lists one, unset "
           "CUDA_VISIBLE_DEVICES "
           "or name one of its cards there.";
  return fmt::format(
      "the NVIDIA driver does not start: {}. See whether nvidia-smi works and what CUDA_VISIBLE_DEVICES "
      "says; after "
      "an update of the driver, restart the machine.",
      words(status));
}

DeviceProperties properties_of(int index, const cudaDeviceProp& card) {
  DeviceProperties properties;
  properties.index = index;
  properties.name = card.name;
  properties.compute_major = card.major;
  properties.compute_minor = card.minor;
  properties.num_multiprocessors = card.multiProcessorCount;
  properties.total_bytes = card.totalGlobalMem;
  properties.l2_bytes = static_cast<std::size_t>(card.l2CacheSize);
  return properties;
}

// Starts the context of this process on a card and gives its size, as far as the first call can see it from
// the memory that is in use before and after; 0 where it cannot.
std::size_t start_context(int device) {
  constexpr std::int64_t kLeastBytes = std::int64_t{64}
                                       << 20;  // no context is smaller: less is a neighbour's
  static const std::size_t measured = [&]() -> std::size_t {
    const auto before = used_bytes(device);
    std::size_t free = 0, total = 0;
    if (cudaMemGetInfo(&free, &total) != cudaSuccess) static_cast<void>(cudaGetLastError());
    const auto after = used_bytes(device);
    return before && after && *after - *before >= kLeastBytes ? static_cast<std::size_t>(*after - *before)
                                                              : 0;
  }();
  return measured;
}

// Of the current card, on which this starts a context if there is none yet.
std::string card_reason(std::vector<DeviceProperties>& devices) {
  int current = 0;
  cudaError_t status = cudaGetDevice(&current);
  DeviceProperties& card = devices[static_cast<std::size_t>(current)];
  if (card.compute_major < kMinComputeMajor)
    return fmt::format(
        "{} has compute capability {}.{}; {}.0 or newer is needed (Ampere, 2020). Use a newer card: "
        "CUDA_VISIBLE_DEVICES says which come first.",
        card.name, card.compute_major, card.compute_minor, kMinComputeMajor);
  card.context_bytes = start_context(current);
  std::size_t total = 0;
  if (status == cudaSuccess) status = cudaMemGetInfo(&card.free_bytes, &total);
  if (status == cudaSuccess) return {};
  return fmt::format(
      "{} cannot be used: {}. See in nvidia-smi whether another program has it to itself or has filled its "
      "memory.",
      card.name, words(status));
}

}  // namespace

Availability availability() {
  Availability found;
  found.runtime_version = CUDART_VERSION;
  if (cudaDriverGetVersion(&found.driver_version) != cudaSuccess) found.driver_version = 0;
  found.reason = driver_reason(found);
  if (!found.reason.empty()) return found;

  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status != cudaSuccess || count == 0) {
    found.reason = count_reason(status);
    return found;
  }
  for (int i = 0; i < count; i++) {
    cudaDeviceProp card{};
    const cudaError_t read = cudaGetDeviceProperties(&card, i);
    if (read != cudaSuccess) {
      found.reason =
          fmt::format("card {} does not answer: {}. See what nvidia-smi says of it.", i, words(read));
      return found;
    }
    found.devices.push_back(properties_of(i, card));
  }
  found.reason = card_reason(found.devices);
  return found;
}

}  // namespace lmdeploy::cuda
