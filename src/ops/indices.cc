#include "ops/indices.h"

#include "ops/cuda/cuda_ops.h"
#include "ops/dispatch.h"

namespace lmdeploy::ops {

void upload(Ctx& ctx, std::span<Indices* const> indices) {
  check_device(ctx, "upload");
  if (only_plans(ctx)) return;
  if constexpr (kHasCuda)
    if (ctx.device == Device::cuda) cuda::upload(ctx, indices);
}

}  // namespace lmdeploy::ops
