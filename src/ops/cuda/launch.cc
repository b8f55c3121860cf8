#include "ops/cuda/launch.h"

#include <algorithm>
#include <vector>

#include "ops/cuda/cuda_ops.h"
#include "tensor/cuda/device.h"
#include "tensor/cuda/upload_ring.h"

namespace lmdeploy::ops::cuda {

using lmdeploy::cuda::copy_to_device;

void* on_device(Ctx& ctx, const void* host, std::size_t bytes) {
  const View copy = ctx.workspace->take(DType::u8, {static_cast<std::int64_t>(bytes)});
  if (ctx.uploads != nullptr)
    ctx.uploads->copy_to_device(copy.data, host, bytes);
  else
    copy_to_device(copy.data, host, bytes, ctx.stream);
  return copy.data;
}

const std::int32_t* on_device(Ctx& ctx, const Indices& indices) {
  if (indices.device != nullptr || indices.host.empty()) return indices.device;
  return static_cast<const std::int32_t*>(on_device(ctx, indices.host.data(), indices.host.size_bytes()));
}

void upload(Ctx& ctx, std::span<Indices* const> indices) {
  constexpr std::size_t kAlignment = 64 / sizeof(std::int32_t);
  std::vector<std::int32_t> all;
  std::vector<std::size_t> begins;
  for (const Indices* each : indices) {
    begins.push_back(all.size());
    all.insert(all.end(), each->host.begin(), each->host.end());
    all.resize((all.size() + kAlignment - 1) / kAlignment * kAlignment);
  }
  const auto* copy =
      static_cast<const std::int32_t*>(on_device(ctx, all.data(), all.size() * sizeof(std::int32_t)));
  for (std::size_t i = 0; i < indices.size(); i++) indices[i]->device = copy + begins[i];
}

}  // namespace lmdeploy::ops::cuda
