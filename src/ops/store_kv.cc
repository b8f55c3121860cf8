#include "ops/cpu/cpu_ops.h"
#include "ops/dispatch.h"
#include "ops/ops.h"
#include "ops/shape_matcher.h"

namespace lmdeploy::ops {

void store_kv(Ctx& ctx, const View& k, const View& v, std::span<const std::int32_t> slots,
              const KvLayer& cache) {
  check_device(ctx, "store_kv");
  check_layer(cache, "store_kv");
  ShapeMatcher match("store_kv");
  match.bind("slots", 'm', static_cast<std::int64_t>(slots.size()));
  match.bind("cache", 'g', cache.layout.num_kv_heads);
  match.bind("cache", 'd', cache.layout.head_dim);
  match("k", k, "mgd", {DType::f32});
  match("v", v, "mgd", {DType::f32});
  for (const std::int32_t slot : slots)
    CHECK(slot >= 0 && slot < cache.num_blocks * cache.layout.block_len, "store_kv: slot {} of {} blocks",
          slot, cache.num_blocks);
  cpu::store_kv(ctx, k, v, slots, cache);
}

}  // namespace lmdeploy::ops
