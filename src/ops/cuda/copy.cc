#include "ops/cuda/cuda_ops.h"
#include "tensor/cuda/device.h"

namespace lmdeploy::ops::cuda {

void copy_from_host(Ctx& ctx, const View& host, const View& device) {
  lmdeploy::cuda::copy_to_device(device.data, host.data, static_cast<std::size_t>(host.bytes()), ctx.stream);
}

void copy_to_host(Ctx& ctx, const View& device, const View& host) {
  lmdeploy::cuda::copy_to_host(host.data, device.data, static_cast<std::size_t>(device.bytes()), ctx.stream);
}

}  // namespace lmdeploy::ops::cuda
