#include "ops/cuda/cuda_ops.h"
#include "ops/cuda/kv_layer_blocks.h"
#include "ops/cuda/launch.h"
#include "ops/cuda/store_kv_kernel.h"

namespace lmdeploy::ops::cuda {

void store_kv(Ctx& ctx, const View& k, const View& v, const Indices& slots, const KvLayer& cache) {
  const Workspace::Scope scope(*ctx.workspace);
  StoreKvArguments arguments{};
  arguments.k = k.as<float>();
  arguments.v = v.as<float>();
  arguments.k_stride = k.row_stride;
  arguments.v_stride = v.row_stride;
  arguments.slots = on_device(ctx, slots);
  arguments.num_rows = k.dim(0);
  CUDA_CHECK(launch_store_kv(arguments, blocks_of(cache, "store_kv"), stream_of(ctx)));
}

void read_keys(Ctx& ctx, const KvLayer& cache, const Indices& slots, const View& y) {
  const Workspace::Scope scope(*ctx.workspace);
  const std::int32_t* device_slots = on_device(ctx, slots);
  CUDA_CHECK(launch_read_keys(blocks_of(cache, "read_keys"), device_slots, y.dim(0), y.as<float>(),
                              y.row_stride, stream_of(ctx)));
}

}  // namespace lmdeploy::ops::cuda
