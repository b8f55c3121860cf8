#include "cuda/projected_fixture.h"

namespace lmdeploy::ops {
namespace {

constexpr HeadShape kShapes[] = {{9, 3, 64}, {4, 2, 128}, {1, 1, 2},   {7, 1, 10},  {4, 2, 40},  {3, 1, 80},
                                 {2, 2, 96}, {5, 1, 66},  {2, 1, 256}, {3, 1, 512}, {1, 2, 1024}};

struct CacheKind {
  DType dtype;
  std::int32_t quant_bits;
  bool has_centers = false;
};
constexpr CacheKind kCacheKinds[] = {{DType::f32, 0},  {DType::bf16, 0}, {DType::f16, 0},
                                     {DType::bf16, 8}, {DType::bf16, 4}, {DType::bf16, 4, true}};

class CudaRopeAndStore : public CudaProjectedTest {
 protected:
  std::vector<std::int32_t> random_slots(std::int64_t m) {
    std::vector<std::int32_t> slots(static_cast<std::size_t>(cache.num_blocks * cache.layout.block_len));
    std::iota(slots.begin(), slots.end(), 0);
    std::shuffle(slots.begin(), slots.end(), rng);
    slots.resize(static_cast<std::size_t>(m));
    return slots;
  }

  void expect_same_as_three_ops(std::int64_t m, std::int64_t lead) {
    const std::int64_t d = shape.head_dim, width = (shape.num_heads + 2 * shape.num_kv_heads) * d;
    const Tensor host = random(DType::f32, m, width);
    const std::vector<std::int32_t> slots = random_slots(m);
    const Slice angles = slice(DType::f32, m, d, lead);
    const View& table = angles.view;
    rope_table(ctx, random_ids(m, 2000), inv_freq(), 1.1F, table);

    const Projected expected = projected(host, lead);
    rope(ctx, expected.q, table);
    rope(ctx, expected.k, table);
    store_kv(ctx, expected.k, expected.v, slots, cache);
    const Tensor expected_memory = download(memory);
    CUDA_CHECK(cudaMemsetAsync(memory.view().data, 0xff, static_cast<std::size_t>(memory.view().bytes()),
                               stream_handle()));

    const Projected actual = projected(host, lead);
    rope_and_store(ctx, actual.q, actual.k, actual.v, table, slots, cache);
    expect_same_bytes(download(memory), expected_memory, "cache");
    expect_same_bytes(download(actual.q), download(expected.q), "queries");
    expect_same_bytes(download(actual.v), download(expected.v), "values");
    expect_poison_around(actual.rows.whole, lead, width, "rope_and_store");
  }
};

TEST_F(CudaRopeAndStore, BitsAreThoseOfRopeAndStoreKv) {
  for (const CacheKind& kind : kCacheKinds)
    for (const HeadShape& s : kShapes)
      for (const std::int64_t m : {1, 3, 70})
        for (const std::int64_t lead : {1, 8}) {
          make_cache(kind.dtype, s, 128, 2, kind.quant_bits);
          if (!kind.has_centers) cache.key_centers = nullptr;
          SCOPED_TRACE(fmt::format("{} x {}, lead {}, {}", m, s.head_dim, lead, cache_name()));
          expect_same_as_three_ops(m, lead);
          ASSERT_FALSE(HasFailure());
        }
}

// The three ops share code with this one; this does not.
TEST_F(CudaRopeAndStore, RotatesAsTheReference) {
  for (const HeadShape& s : kShapes) {
    make_cache(DType::f32, s, 64, 2);
    const std::int64_t m = 20, d = s.head_dim, key_width = s.num_kv_heads * d;
    const Tensor host = random(DType::f32, m, (s.num_heads + 2 * s.num_kv_heads) * d);
    const std::vector<std::int32_t> positions = random_ids(m, 2000), slots = random_slots(m);
    const std::vector<float> frequencies = inv_freq();
    const Tensor table = poisoned(DType::f32, {m, d});
    rope_table(ctx, positions, frequencies, 1, table);
    const Projected rows = projected(host, 8);
    rope_and_store(ctx, rows.q, rows.k, rows.v, table, slots, cache);
    const Tensor keys = poisoned(DType::f32, {m, key_width});
    read_keys(ctx, cache, slots, heads(keys, s.num_kv_heads));
    const auto expected = [&](std::int64_t first, std::int64_t count) {
      return ref::rope(matrix(host.view().columns(first, count * d)), count, positions,
                       {frequencies.begin(), frequencies.end()}, 1);
    };
    expect_close(download(rows.q), expected(0, s.num_heads), 2e-4, fmt::format("queries of {}", d));
    expect_close(download(keys), expected(s.num_heads * d, s.num_kv_heads), 2e-4,
                 fmt::format("keys of {}", d));
  }
}

}  // namespace
}  // namespace lmdeploy::ops
