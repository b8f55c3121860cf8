#include <algorithm>
#include <cstring>

#include "ops/cuda/cuda_ops.h"
#include "ops/dispatch.h"
#include "ops/ops.h"

namespace lmdeploy::ops {
namespace {

void check_copy(const char* op, const View& from, const View& to) {
  CHECK(from.dtype == to.dtype && from.shape == to.shape, "{}: {} {} to {} {}", op, dtype_name(from.dtype),
        from.shape.to_string(), dtype_name(to.dtype), to.shape.to_string());
  CHECK(from.contiguous() && to.contiguous(), "{}: gaps between rows", op);
}

void copy(Ctx& ctx, const View& from, const View& to) {
  constexpr std::int64_t kTaskBytes = 1 << 20;
  const std::int64_t bytes = from.bytes();
  ctx.pool->parallel_for((bytes + kTaskBytes - 1) / kTaskBytes, [&](std::int64_t task_idx, int) {
    const std::int64_t begin = task_idx * kTaskBytes;
    std::memcpy(static_cast<char*>(to.data) + begin, static_cast<const char*>(from.data) + begin,
                static_cast<std::size_t>(std::min(kTaskBytes, bytes - begin)));
  });
}

}  // namespace

void copy_from_host(Ctx& ctx, const View& host, const View& device) {
  check_device(ctx, "copy_from_host");
  check_copy("copy_from_host", host, device);
  if (only_plans(ctx)) return;
  if constexpr (kHasCuda)
    if (ctx.device == Device::cuda) return cuda::copy_from_host(ctx, host, device);
  copy(ctx, host, device);
}

void copy_to_host(Ctx& ctx, const View& device, const View& host) {
  check_device(ctx, "copy_to_host");
  check_copy("copy_to_host", device, host);
  if (only_plans(ctx)) return;
  if constexpr (kHasCuda)
    if (ctx.device == Device::cuda) return cuda::copy_to_host(ctx, device, host);
  copy(ctx, device, host);
}

}  // namespace lmdeploy::ops
