#include "ops/roofs.h"

#include "ops/cpu/cpu_ops.h"
#include "ops/dispatch.h"

namespace lmdeploy::ops {

Roofs measure_roofs(Ctx& ctx) {
  check_device(ctx, "measure_roofs");
  return cpu::measure_roofs(ctx);
}

}  // namespace lmdeploy::ops
