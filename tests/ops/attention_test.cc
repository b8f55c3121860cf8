#include "ops/attention_fixture.h"

namespace lmdeploy::ops {
namespace {

constexpr std::int32_t kQuantBits[] = {0, 8, 4};

TEST_P(AttentionTest, EqualsReference) {
  const Shape4 shapes[] = {{9, 3, 64}, {4, 2, 128}, {3, 1, 80}, {8, 8, 16}, {5, 5, 2}, {6, 2, 96}};
  for (const DType dtype : kFloatTypes)
    for (const Shape4& s : shapes)
      for (const std::int64_t len : {1, 63, 64, 65, 129, 300}) {
        if (len == 300 && s.num_heads != 9) continue;  // the reference takes long
        make_cache(dtype, s, len == 65 ? 128 : 64, 8);
        window = len == 300 && s.head_dim == 64 ? 70 : 0;
        const Sequence seq = make_sequence(len);
        const DType y_type = kFloatTypes[rng() % 3];
        const Tensor y = step({&seq}, {0}, {len}, y_type);
        expect_close(y, expected(seq, 0, len), Tolerance::attention(dtype) + Tolerance::result(y_type),
                     fmt::format("{} heads over {} of {}, {} tokens, {}", s.num_heads, s.num_kv_heads,
                                 s.head_dim, len, dtype_name(dtype)));
      }
}

// Whole, in chunks, token by token, and in a batch with others: the same bits.
TEST_P(AttentionTest, RowsDoNotDependOnCompany) {
  for (const DType dtype : kFloatTypes)
    for (const std::int64_t test_case : {0, 1, 2, 3, 4, 5}) {
      const std::int32_t quant_bits = kQuantBits[test_case / 2];
      make_cache(dtype, {4, 2, 64}, 64, 64, quant_bits);
      window = test_case % 2 == 0 ? 0 : 100;
      const std::int64_t len = 590;  // more than two splits
      const Sequence seq = make_sequence(len), other = make_sequence(200);
      const Tensor whole = step({&seq}, {0}, {len});
      const auto same = [&](const View& rows, std::int64_t first, std::int64_t row, std::int64_t count) {
        return std::memcmp(rows.row<float>(row), whole.view().row<float>(first),
                           static_cast<std::size_t>(count * whole.view().dim(1)) * sizeof(float)) == 0;
      };
      forget();
      std::int64_t at = 0;
      for (const std::int64_t chunk : {1, 1, 40, 1, 23, 130, 2, 1, 1, 57, 200, 1, 1, 64, 1, 1, 1, 1, 63}) {
        const bool batched = at % 2 == 0;
        const Tensor y =
            batched ? step({&other, &seq}, {0, at}, {std::min<std::int64_t>(200, at + 1), at + chunk})
                    : step({&seq}, {at}, {at + chunk});
        const std::int64_t row = batched ? std::min<std::int64_t>(200, at + 1) : 0;
        ASSERT_TRUE(same(y, at, row, chunk))
            << dtype_name(dtype) << ", " << quant_bits << " bits, tokens " << at << " + " << chunk;
        at += chunk;
      }
      ASSERT_EQ(at, len);
    }
}

// A block that another sequence filled with infinities and NaN is given to a new one.
TEST_P(AttentionTest, StaleBlocksDoNotLeak) {
  for (const DType dtype : kFloatTypes)
    for (const std::int32_t quant_bits : kQuantBits) {
      make_cache(dtype, {2, 1, 64}, 64, 4, quant_bits);
      const Sequence seq = make_sequence(67);
      const Tensor clean = step({&seq}, {0}, {67});
      for (std::int64_t i = 0; i < memory.view().bytes() / 2; i++)
        static_cast<std::uint16_t*>(memory.view().data)[i] = i % 3 == 0   ? 0x7f80
                                                             : i % 3 == 1 ? 0xffff
                                                                          : 0x7c00;
      for (std::int64_t t = 0; t < 67; t++) {
        const Tensor y = step({&seq}, {t}, {t + 1});
        ASSERT_EQ(std::memcmp(y.view().data, clean.view().row<float>(t),
                              static_cast<std::size_t>(y.view().bytes())),
                  0)
            << dtype_name(dtype) << ", " << quant_bits << " bits, token " << t;
      }
    }
}

// A number that is none must be seen: the sampler refuses a row of NaN.
TEST_P(AttentionTest, NanInIsNanOut) {
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  for (const std::int32_t quant_bits : kQuantBits) {
    make_cache(DType::bf16, {2, 1, 64}, 64, 4, quant_bits);
    const Sequence seq = make_sequence(5);
    set(seq.q, 3 * 128 + 7, kNan);
    const Tensor y = step({&seq}, {0}, {5});
    EXPECT_TRUE(std::isnan(get(y, 3 * 128)));
    EXPECT_FALSE(std::isnan(get(y, 2 * 128)));
    EXPECT_FALSE(std::isnan(get(y, 3 * 128 + 64)));
    if (quant_bits == 0) continue;  // there a token that weighs 0 spoils its tile
    for (const Tensor* part : {&seq.k, &seq.v}) {
      const Sequence& other = make_sequence(5);
      set(part == &seq.k ? other.k : other.v, 3 * 64 + 7, kNan);
      const Tensor z = step({&other}, {0}, {5});
      EXPECT_FALSE(std::isnan(get(z, 2 * 128 + 7))) << quant_bits;
      EXPECT_TRUE(std::isnan(get(z, 3 * 128 + 7)) && std::isnan(get(z, 4 * 128 + 7))) << quant_bits;
    }
  }
}

TEST_P(AttentionTest, BadBatchesAreNamed) {
  make_cache(DType::bf16, {2, 1, 64}, 64, 1);
  const Tensor q = random(DType::f32, 1, 128), y = zeros(DType::f32, 1, 128);
  const View heads(q.view().data, DType::f32, {1, 2, 64});
  const std::vector<std::int32_t> starts = {0, 1}, lens = {1}, table = {7};
  AttentionBatch batch;
  batch.query_starts = starts;
  batch.context_lens = lens;
  batch.block_tables = table;
  batch.max_blocks = 1;
  EXPECT_THROW(attention(ctx, heads, cache, batch, y), CheckFailure);
  const std::vector<std::int32_t> slots = {64};
  const View kv(q.view().data, DType::f32, {1, 1, 64});
  EXPECT_THROW(store_kv(ctx, kv, kv, slots, cache), CheckFailure);
}

INSTANTIATE_FOR_ISAS(AttentionTest);

}  // namespace
}  // namespace lmdeploy::ops
