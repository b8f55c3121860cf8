#include "cuda/attention_fixture.h"

namespace lmdeploy::ops {
namespace {

constexpr HeadShape kShapes[] = {{9, 3, 64}, {4, 2, 128}, {1, 1, 14}, {2, 1, 22},  {4, 2, 40},   {3, 1, 80},
                                 {2, 2, 96}, {2, 1, 256}, {5, 5, 2},  {1, 1, 512}, {1, 1, 1024}, {1, 1, 6}};

class CudaQuantizedKv : public CudaAttentionTest {
 protected:
  // Every number that the cache holds is the one nearest to x that its scale and minimum allow, and those are
  // what the extremes of the row ask for.
  void expect_nearest(const StoredKv& kv, const Sequence& s, const ref::Matrix& x, ref::Half half) {
    const int last_code = (1 << cache.layout.quant_bits) - 1;
    const std::int64_t d = shape.head_dim;
    for (std::int64_t t = 0; t < x.num_rows; t++)
      for (std::int64_t head = 0; head < shape.num_kv_heads; head++) {
        const ref::StoredRow row = kv.codes(slot(s, t), head, half);
        const double* values = &x.values[static_cast<std::size_t>((t * shape.num_kv_heads + head) * d)];
        const auto [min, max] = std::minmax_element(values, values + d);
        const double largest = std::max(std::abs(*min), std::abs(*max));
        ASSERT_NEAR(row.minimum, *min, 6e-4 * largest);
        ASSERT_NEAR(row.scale, (*max - *min) / last_code, 6e-4 * row.scale + 6e-4 * largest / last_code);
        const auto kept = row.values();
        for (std::int64_t c = 0; c < d; c++)
          ASSERT_LE(std::abs(kept[static_cast<std::size_t>(c)] - values[c]), 0.5 * row.scale + 1e-3 * largest)
              << "token " << t << ", head " << head << " [" << c << "]";
      }
  }

  ref::Matrix prepared_keys(const Sequence& s) const {
    ref::Matrix keys = matrix(s.k);
    if (cache.layout.quant_bits != 4) return keys;
    for (std::int64_t t = 0; t < keys.num_rows; t++)
      for (std::int64_t c = 0; c < keys.num_columns; c++)
        keys.at(t, c) -= static_cast<double>(get(centers, c));
    return ref::rotate(keys, shape.head_dim);
  }
};

TEST_F(CudaQuantizedKv, CodesAreNearest) {
  for (const std::int32_t bits : {8, 4})
    for (const HeadShape& s : kShapes) {
      make_cache(DType::bf16, s, 128, 3, bits);
      SCOPED_TRACE(cache_name());
      const std::int64_t len = s.head_dim > 256 ? 20 : 150;
      const Sequence seq = make_sequence(len);
      store({{&seq, 0, len}});
      const StoredKv& kv = stored();
      expect_nearest(kv, seq, prepared_keys(seq), ref::Half::keys);
      expect_nearest(kv, seq, matrix(seq.v), ref::Half::values);
      ASSERT_FALSE(HasFatalFailure());
    }
}

TEST_F(CudaQuantizedKv, OtherLayersAreLeftAlone) {
  for (const std::int32_t bits : {0, 8, 4}) {
    make_cache(DType::bf16, {4, 2, 64}, 64, 3, bits);
    const Sequence seq = make_sequence(130);
    store({{&seq, 0, 130}});
    const Tensor all = download(memory);
    const auto* data = all.view().as<std::uint8_t>();
    const std::int64_t block_bytes = cache.layout.block_bytes();
    for (std::int64_t i = 0; i < all.view().bytes(); i++) {
      if (i / block_bytes % 3 == 1) continue;
      ASSERT_EQ(data[i], 0xff) << bits << " bits, byte " << i;
    }
  }
}

TEST_F(CudaQuantizedKv, NumbersBeyondFp16Saturate) {
  for (const std::int32_t bits : {8, 4})
    for (const DType dtype : kFloatTypes) {
      make_cache(dtype, {2, 1, 64}, 64, 2, bits);
      const Sequence seq = make_sequence(20);
      set(seq.v, 64 + 5, 1e30F);
      set(seq.v, 64 + 6, -3e38F);
      set(seq.k, 64 + 5, 1e30F);
      for (const std::int64_t end : {3, 20}) {
        const Tensor y = step({{&seq, 0, end}});
        for (std::int64_t i = 0; i < end * 128; i++) ASSERT_TRUE(std::isfinite(get(y, i))) << i;
      }
      const ref::StoredRow row = stored().codes(slot(seq, 1), 0, ref::Half::values);
      EXPECT_EQ(row.minimum, -65504);
      EXPECT_EQ(row.codes[5], (1 << bits) - 1);
      EXPECT_EQ(row.codes[6], 0);
    }
}

TEST_F(CudaQuantizedKv, ARowOfOneValueIsExact) {
  make_cache(DType::bf16, {1, 1, 64}, 64, 2, 8);
  const Sequence seq = make_sequence(30);
  for (std::int64_t c = 0; c < 30 * 64; c++) set(seq.v, c, 0.75F);
  for (const std::int64_t end : {2, 30}) {
    const Tensor y = step({{&seq, 0, end}});
    // The prefill kernel for Hopper rounds weights to fp16, but not their sum.
    const float tolerance = end > 16 ? 0.75F * 0x1p-11F : 1e-6F;
    for (std::int64_t c = 0; c < end * 64; c++) ASSERT_NEAR(get(y, c), 0.75F, tolerance);
  }
}

TEST_F(CudaQuantizedKv, KeysAreReadBack) {
  for (const DType dtype : kFloatTypes) {
    make_cache(dtype, {4, 2, 80}, 128, 3);
    const Sequence seq = make_sequence(130);
    store({{&seq, 0, 130}});
    std::vector<std::int32_t> slots;
    for (std::int64_t t = 0; t < 130; t++) slots.push_back(static_cast<std::int32_t>(slot(seq, t)));
    const Tensor wide = poisoned(DType::f32, {130, 165});
    const View heads(wide.view().as<float>() + 1, DType::f32, {130, 2, 80}, 165);
    read_keys(ctx, cache, slots, heads);
    expect_poison_around(wide, 1, 160, "read_keys");
    const Tensor keys = download(heads);
    for (std::int64_t i = 0; i < 130 * 160; i++)
      ASSERT_EQ(get(keys, i), round_to_dtype(get(seq.k, i), dtype)) << dtype_name(dtype) << " " << i;
    cache.layout.quant_bits = 8;
    EXPECT_THROW(read_keys(ctx, cache, slots, heads), CheckFailure);
  }
}

}  // namespace
}  // namespace lmdeploy::ops
