#include "ops/roofs.h"

#include "ops/cpu/cpu_ops.h"
#include "ops/cuda/cuda_ops.h"
#include "ops/dispatch.h"

namespace lmdeploy::ops {

Roofs measure_roofs(Ctx& ctx) {
  check_device(ctx, "measure_roofs");
  if constexpr (kHasCuda)
    if (ctx.device == Device::cuda) return cuda::measure_roofs(ctx);
  return cpu::measure_roofs(ctx);
}

}  // namespace lmdeploy::ops
