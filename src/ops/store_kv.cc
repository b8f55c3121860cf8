#include "ops/cpu/cpu_ops.h"
#include "ops/cuda/cuda_ops.h"
#include "ops/dispatch.h"
#include "ops/ops.h"
#include "ops/shape_matcher.h"

namespace lmdeploy::ops {

namespace {

void check_slots(std::span<const std::int32_t> slots, const KvLayer& cache, const char* op) {
  for (const std::int32_t slot : slots)
    CHECK(slot >= 0 && slot < cache.num_blocks * cache.layout.block_len, "{}: slot {} of {} blocks", op, slot,
          cache.num_blocks);
}

void bind_cache(ShapeMatcher& match, const Indices& slots, const KvLayer& cache) {
  match.bind("slots", 'm', static_cast<std::int64_t>(slots.size()));
  match.bind("cache", 'g', cache.layout.num_kv_heads);
  match.bind("cache", 'd', cache.layout.head_dim);
}

}  // namespace

void store_kv(Ctx& ctx, const View& k, const View& v, const Indices& slots, const KvLayer& cache) {
  check_device(ctx, "store_kv");
  check_layer(cache, "store_kv");
  ShapeMatcher match("store_kv");
  bind_cache(match, slots, cache);
  match("k", k, "mgd", {DType::f32});
  match("v", v, "mgd", {DType::f32});
  check_slots(slots.host, cache, "store_kv");
  if (only_plans(ctx)) return;
  if constexpr (kHasCuda)
    if (ctx.device == Device::cuda) return cuda::store_kv(ctx, k, v, slots, cache);
  cpu::store_kv(ctx, k, v, slots.host, cache);
}

void rope_and_store(Ctx& ctx, const View& q, const View& k, const View& v, const View& table,
                    const Indices& slots, const KvLayer& cache) {
  check_device(ctx, "rope_and_store");
  check_layer(cache, "rope_and_store");
  ShapeMatcher match("rope_and_store");
  bind_cache(match, slots, cache);
  match("q", q, "mhd", {DType::f32});
  match("k", k, "mgd", {DType::f32});
  match("v", v, "mgd", {DType::f32});
  match("table", table, "md", {DType::f32});
  check_slots(slots.host, cache, "rope_and_store");
  if (only_plans(ctx)) return;
  if constexpr (kHasCuda)
    if (ctx.device == Device::cuda) return cuda::rope_and_store(ctx, q, k, v, table, slots, cache);
  cpu::rope(ctx, q, table);
  cpu::rope(ctx, k, table);
  cpu::store_kv(ctx, k, v, slots.host, cache);
}

void read_keys(Ctx& ctx, const KvLayer& cache, const Indices& slots, const View& y) {
  check_device(ctx, "read_keys");
  check_layer(cache, "read_keys");
  CHECK(cache.layout.quant_bits == 0, "read_keys: a cache of {} bits", cache.layout.quant_bits);
  ShapeMatcher match("read_keys");
  bind_cache(match, slots, cache);
  match("y", y, "mgd", {DType::f32});
  check_slots(slots.host, cache, "read_keys");
  if (only_plans(ctx)) return;
  if constexpr (kHasCuda)
    if (ctx.device == Device::cuda) return cuda::read_keys(ctx, cache, slots, y);
  cpu::read_keys(ctx, cache, slots.host, y);
}

}  // namespace lmdeploy::ops
