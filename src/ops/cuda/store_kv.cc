#include "ops/cuda/cuda_ops.h"
#include "ops/cuda/kv_layer_blocks.h"
#include "ops/cuda/launch.h"
#include "ops/cuda/store_kv_kernel.h"

namespace lmdeploy::ops::cuda {

namespace {

StoreKvArguments arguments_of(const View& k, const View& v, const std::int32_t* slots) {
  StoreKvArguments arguments{};
  arguments.k = k.as<float>();
  arguments.v = v.as<float>();
  arguments.k_stride = k.row_stride;
  arguments.v_stride = v.row_stride;
  arguments.slots = slots;
  arguments.num_rows = k.dim(0);
  return arguments;
}

}  // namespace

void store_kv(Ctx& ctx, const View& k, const View& v, const Indices& slots, const KvLayer& cache) {
  const Workspace::Scope scope(*ctx.workspace);
  const StoreKvArguments arguments = arguments_of(k, v, on_device(ctx, slots));
  CUDA_CHECK(launch_store_kv(arguments, blocks_of(cache, "store_kv"), stream_of(ctx)));
}

void rope_and_store(Ctx& ctx, const View& q, const View& k, const View& v, const View& table,
                    const Indices& slots, const KvLayer& cache) {
  const Workspace::Scope scope(*ctx.workspace);
  StoreKvArguments arguments = arguments_of(k, v, on_device(ctx, slots));
  arguments.table = table.as<float>();
  arguments.table_stride = table.row_stride;
  arguments.q = q.as<float>();
  arguments.q_stride = q.row_stride;
  arguments.num_heads = static_cast<std::int32_t>(q.dim(1));
  CUDA_CHECK(launch_store_kv(arguments, blocks_of(cache, "rope_and_store"), stream_of(ctx)));
}

void read_keys(Ctx& ctx, const KvLayer& cache, const Indices& slots, const View& y) {
  const Workspace::Scope scope(*ctx.workspace);
  const std::int32_t* device_slots = on_device(ctx, slots);
  CUDA_CHECK(launch_read_keys(blocks_of(cache, "read_keys"), device_slots, y.dim(0), y.as<float>(),
                              y.row_stride, stream_of(ctx)));
}

}  // namespace lmdeploy::ops::cuda
