#include "tensor/cuda/used_memory.h"

#include <cuda_runtime_api.h>
#include <dlfcn.h>

namespace lmdeploy::cuda {
namespace {

// The little of nvml.h that is needed here (NVIDIA Management Library, "Device Queries"); 0 is success.
struct NvmlMemory {
  unsigned long long total, free, used;
};
using NvmlDevice = void*;

// Opened for one question: the library keeps nothing then.
class Nvml {
 public:
  Nvml() : library_(dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL)) {
    if (library_ == nullptr) return;
    const auto init = find<int()>("nvmlInit_v2");
    started_ = init != nullptr && init() == 0;
  }
  ~Nvml() {
    if (started_)
      if (const auto shutdown = find<int()>("nvmlShutdown"); shutdown != nullptr) shutdown();
    if (library_ != nullptr) dlclose(library_);
  }
  Nvml(const Nvml&) = delete;
  Nvml& operator=(const Nvml&) = delete;

  std::optional<std::int64_t> used_bytes(const char* pci_bus_id) const {
    if (!started_) return std::nullopt;
    const auto device_of = find<int(const char*, NvmlDevice*)>("nvmlDeviceGetHandleByPciBusId_v2");
    const auto memory_of = find<int(NvmlDevice, NvmlMemory*)>("nvmlDeviceGetMemoryInfo");
    NvmlDevice device = nullptr;
    NvmlMemory memory{};
    if (device_of == nullptr || memory_of == nullptr || device_of(pci_bus_id, &device) != 0 ||
        memory_of(device, &memory) != 0)
      return std::nullopt;
    return static_cast<std::int64_t>(memory.used);
  }

 private:
  template <class F>
  F* find(const char* name) const {
    return reinterpret_cast<F*>(dlsym(library_, name));
  }

  void* library_;
  bool started_ = false;
};

}  // namespace

std::optional<std::int64_t> used_bytes(int device) {
  char pci_bus_id[32] = {};
  if (cudaDeviceGetPCIBusId(pci_bus_id, sizeof pci_bus_id, device) != cudaSuccess) {
    static_cast<void>(cudaGetLastError());
    return std::nullopt;
  }
  return Nvml().used_bytes(pci_bus_id);
}

}  // namespace lmdeploy::cuda
