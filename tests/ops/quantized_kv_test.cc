#include "ops/attention_fixture.h"

namespace lmdeploy::ops {
namespace {

class QuantizedKvTest : public AttentionTest {
 protected:
  static Tensor copy_of(const View& view) {
    Tensor copy = zeros(DType::f32, view.dim(0), view.dim(1));
    std::memcpy(copy.view().data, view.data, static_cast<std::size_t>(view.bytes()));
    return copy;
  }

  // Every number that the cache holds is the one nearest to x that its scale and minimum allow, and those are
  // what the extremes of the row ask for.
  void expect_nearest(const Sequence& s, const ref::Matrix& x, ref::Half half) {
    const int last_code = (1 << cache.layout.quant_bits) - 1;
    const std::int64_t d = shape.head_dim;
    for (std::int64_t t = 0; t < x.num_rows; t++)
      for (std::int64_t head = 0; head < shape.num_kv_heads; head++) {
        const ref::StoredRow row = ref::stored_row(cache, slot(s, t), head, half);
        const double* values = &x.values[static_cast<std::size_t>((t * shape.num_kv_heads + head) * d)];
        const auto [min, max] = std::minmax_element(values, values + d);
        const double largest = std::max(std::abs(*min), std::abs(*max));
        ASSERT_NEAR(row.minimum, *min, 6e-4 * largest);
        ASSERT_NEAR(row.scale, (*max - *min) / last_code, 6e-4 * row.scale + 6e-4 * largest / last_code);
        const auto stored = row.values();
        for (std::int64_t c = 0; c < d; c++)
          ASSERT_LE(std::abs(stored[static_cast<std::size_t>(c)] - values[c]),
                    0.5 * row.scale + 1e-3 * largest)
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

constexpr Shape4 kShapes[] = {{9, 3, 64}, {4, 2, 128}, {1, 1, 14},  {2, 1, 22}, {4, 2, 40},
                              {3, 1, 80}, {2, 2, 96},  {2, 1, 256}, {5, 5, 2}};

TEST_P(QuantizedKvTest, CodesAreNearest) {
  for (const std::int32_t bits : {8, 4})
    for (const Shape4& s : kShapes) {
      SCOPED_TRACE(fmt::format("{} bits, {} heads of {}", bits, s.num_kv_heads, s.head_dim));
      make_cache(DType::bf16, s, 128, 3, bits);
      const Sequence seq = make_sequence(150);
      step({&seq}, {0}, {150});
      expect_nearest(seq, prepared_keys(seq), ref::Half::keys);
      expect_nearest(seq, matrix(seq.v), ref::Half::values);
    }
}

TEST_P(QuantizedKvTest, AttentionEqualsReference) {
  for (const std::int32_t bits : {8, 4})
    for (const DType dtype : kFloatTypes)
      for (const Shape4& s : kShapes)
        for (const std::int64_t len : {1, 63, 65, 130}) {
          make_cache(dtype, s, len == 65 ? 128 : 64, 8, bits);
          window = len == 130 ? 70 : 0;
          const Sequence seq = make_sequence(len);
          const DType y_type = kFloatTypes[rng() % 3];
          const Tensor y = step({&seq}, {0}, {len}, y_type);
          expect_close(y, expected(seq, 0, len),
                       Tolerance::quantized_attention(dtype) + Tolerance::result(y_type),
                       fmt::format("{} bits, {} heads over {} of {}, {} tokens, {}", bits, s.num_heads,
                                   s.num_kv_heads, s.head_dim, len, dtype_name(dtype)));
        }
}

// Without the rotation's and the centres' own arithmetic: what comes out is near what went in.
TEST_P(QuantizedKvTest, EightBitsLoseLittle) {
  make_cache(DType::f32, {4, 2, 64}, 64, 4, 8);
  const Sequence seq = make_sequence(100);
  const Tensor y = step({&seq}, {0}, {100});
  make_cache(DType::f32, {4, 2, 64}, 64, 4);
  expect_close(y, expected(seq, 0, 100), 0.03, "int8");
}

TEST_P(QuantizedKvTest, NumbersBeyondFp16Saturate) {
  for (const std::int32_t bits : {8, 4}) {
    make_cache(DType::bf16, {2, 1, 64}, 64, 2, bits);
    const Sequence seq = make_sequence(3);
    set(seq.v, 64 + 5, 1e30F);
    set(seq.v, 64 + 6, -3e38F);
    set(seq.k, 64 + 5, 1e30F);
    const Tensor y = step({&seq}, {0}, {3});
    for (std::int64_t i = 0; i < 3 * 128; i++) ASSERT_TRUE(std::isfinite(get(y, i))) << i;
    const ref::StoredRow row = ref::stored_row(cache, slot(seq, 1), 0, ref::Half::values);
    EXPECT_EQ(row.minimum, -65504);
    EXPECT_EQ(row.codes[5], (1 << bits) - 1);
    EXPECT_EQ(row.codes[6], 0);
  }
}

TEST_P(QuantizedKvTest, ARowOfOneValueIsExact) {
  make_cache(DType::bf16, {1, 1, 64}, 64, 2, 8);
  const Sequence seq = make_sequence(2);
  for (std::int64_t c = 0; c < 128; c++) set(seq.v, c, 0.75F);
  const Tensor y = step({&seq}, {0}, {2});
  for (std::int64_t c = 0; c < 128; c++) ASSERT_NEAR(get(y, c), 0.75F, 1e-6F);
}

TEST_P(QuantizedKvTest, KeysAreReadBack) {
  for (const DType dtype : kFloatTypes) {
    make_cache(dtype, {4, 2, 80}, 128, 3);
    const Sequence seq = make_sequence(130);
    step({&seq}, {0}, {130});
    std::vector<std::int32_t> slots;
    for (std::int64_t t = 0; t < 130; t++) slots.push_back(static_cast<std::int32_t>(slot(seq, t)));
    const Tensor keys = zeros(DType::f32, 130, 160);
    const View heads(keys.view().data, DType::f32, {130, 2, 80});
    read_keys(ctx, cache, slots, heads);
    const ref::Matrix stored = rounded(seq.k);
    for (std::int64_t i = 0; i < 130 * 160; i++)
      ASSERT_EQ(static_cast<double>(get(keys, i)), stored.values[static_cast<std::size_t>(i)]);
    cache.layout.quant_bits = 8;
    EXPECT_THROW(read_keys(ctx, cache, slots, heads), CheckFailure);
  }
}

TEST_P(QuantizedKvTest, RopeAndStoreIsRopeAndStoreKv) {
  for (const std::int32_t bits : {0, 8, 4}) {
    make_cache(DType::bf16, {4, 2, 80}, 64, 1, bits);
    const auto heads_of = [](const Tensor& x, std::int64_t count) {
      return View(x.view().data, DType::f32, {5, count, 80});
    };
    const Tensor table = random(DType::f32, 5, 80), q = random(DType::f32, 5, 320), same_q = copy_of(q),
                 k = random(DType::f32, 5, 160), same_k = copy_of(k), v = random(DType::f32, 5, 160);
    const std::vector<std::int32_t> slots = {7, 3, 63, 0, 1};
    rope(ctx, heads_of(q, 4), table);
    rope(ctx, heads_of(k, 2), table);
    store_kv(ctx, heads_of(k, 2), heads_of(v, 2), slots, cache);
    const auto* bytes = memory.view().as<std::uint8_t>();
    const std::vector<std::uint8_t> stored(bytes, bytes + memory.view().bytes());
    forget();
    rope_and_store(ctx, heads_of(same_q, 4), heads_of(same_k, 2), heads_of(v, 2), table, slots, cache);
    EXPECT_EQ(std::memcmp(memory.view().data, stored.data(), stored.size()), 0) << bits;
    EXPECT_EQ(std::memcmp(same_q.view().data, q.view().data, static_cast<std::size_t>(q.view().bytes())), 0);
  }
}

TEST_P(QuantizedKvTest, StoreAndAttendIsBoth) {
  for (const std::int32_t bits : {0, 8, 4}) {
    make_cache(DType::bf16, {4, 2, 64}, 64, 6, bits);
    const Sequence first = make_sequence(100), second = make_sequence(65);
    step({&first, &second}, {0, 0}, {99, 64});
    const auto* bytes = memory.view().as<std::uint8_t>();
    const std::vector<std::uint8_t> before(bytes, bytes + memory.view().bytes());
    const Tensor table = random(DType::f32, 2, 64), k = random(DType::f32, 2, 128),
                 v = random(DType::f32, 2, 128), q = random(DType::f32, 2, 256);
    const std::vector<std::int32_t> starts = {0, 1, 2}, lens = {100, 65},
                                    slots = {static_cast<std::int32_t>(slot(first, 99)),
                                             static_cast<std::int32_t>(slot(second, 64))};
    std::vector<std::int32_t> tables = first.blocks;
    tables.insert(tables.end(), second.blocks.begin(), second.blocks.end());
    AttentionBatch batch;
    batch.query_starts = starts;
    batch.context_lens = lens;
    batch.block_tables = tables;
    batch.max_blocks = 2;
    batch.scale = scale();
    const auto run = [&](bool at_once, const std::vector<std::int32_t>& places) {
      std::memcpy(memory.view().data, before.data(), before.size());
      const Tensor copies[] = {copy_of(q), copy_of(k)}, y = zeros(DType::f32, 2, 256);
      const ProjectedRows rows{View(copies[0].view().data, DType::f32, {2, 4, 64}),
                               View(copies[1].view().data, DType::f32, {2, 2, 64}),
                               View(v.view().data, DType::f32, {2, 2, 64}), table, places};
      if (at_once) {
        store_and_attend(ctx, rows, cache, batch, y);
      } else {
        rope_and_store(ctx, rows.q, rows.k, rows.v, rows.table, rows.slots, cache);
        attention(ctx, rows.q, cache, batch, y);
      }
      std::vector<std::uint8_t> all(bytes, bytes + memory.view().bytes());
      const auto* result = static_cast<const std::uint8_t*>(y.view().data);
      all.insert(all.end(), result, result + y.view().bytes());
      return all;
    };
    EXPECT_EQ(run(true, slots), run(false, slots)) << bits;
    EXPECT_THROW(run(true, {slots[0], slots[1] + 1}), CheckFailure);
  }
}

INSTANTIATE_FOR_ISAS(QuantizedKvTest);

}  // namespace
}  // namespace lmdeploy::ops
