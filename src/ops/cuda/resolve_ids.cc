#include "ops/cuda/cuda_ops.h"
#include "ops/cuda/launch.h"
#include "ops/cuda/resolve_ids_kernel.h"

namespace lmdeploy::ops::cuda {

void resolve_ids(Ctx& ctx, const Indices& ids, const View& drawn, const View& y) {
  const Workspace::Scope scope(*ctx.workspace);
  CUDA_CHECK(launch_resolve_ids(on_device(ctx, ids), drawn.as<std::int32_t>(), y.as<std::int32_t>(), y.dim(0),
                                stream_of(ctx)));
}

}  // namespace lmdeploy::ops::cuda
