#include <limits>
#include <numeric>

#include "ops/ops_fixture.h"

namespace lmdeploy::ops {
namespace {

struct Shape4 {
  std::int64_t num_heads;
  std::int64_t num_kv_heads;
  std::int64_t head_dim;
};

// A paged cache whose blocks are handed out in a random order and start full of NaN.
class AttentionTest : public OpsTest {
 protected:
  struct Sequence {
    Tensor k;  // [context_len, g * d] f32
    Tensor v;
    Tensor q;  // [context_len, h * d] f32
    std::vector<std::int32_t> blocks;
  };

  void make_cache(DType dtype, const Shape4& shape_in, std::int32_t block_len, std::int64_t num_blocks) {
    shape = shape_in;
    cache.layout = {dtype, static_cast<std::int32_t>(shape.num_kv_heads),
                    static_cast<std::int32_t>(shape.head_dim), block_len};
    cache.num_blocks = num_blocks;
    cache.block_stride = cache.layout.block_bytes() * 3;  // as if of the second of three layers
    memory = Tensor(host_allocator(), DType::u8, {num_blocks * cache.block_stride});
    cache.data = memory.view().as<std::uint8_t>() + cache.layout.block_bytes();
    forget();
    free_blocks.resize(static_cast<std::size_t>(num_blocks));
    std::iota(free_blocks.begin(), free_blocks.end(), 0);
    std::shuffle(free_blocks.begin(), free_blocks.end(), rng);
  }

  void forget() {  // NaN in every type
    std::memset(memory.view().data, 0xff, static_cast<std::size_t>(memory.view().bytes()));
  }

  Sequence make_sequence(std::int64_t len) {
    Sequence s{random(DType::f32, len, shape.num_kv_heads * shape.head_dim),
               random(DType::f32, len, shape.num_kv_heads * shape.head_dim),
               random(DType::f32, len, shape.num_heads * shape.head_dim),
               {}};
    for (std::int64_t i = 0; i < len; i += cache.layout.block_len) {
      s.blocks.push_back(free_blocks.back());
      free_blocks.pop_back();
    }
    return s;
  }

  // One step: stores and attends to tokens [begin[i], end[i]) of each sequence.
  Tensor step(const std::vector<const Sequence*>& seqs, const std::vector<std::int64_t>& begins,
              const std::vector<std::int64_t>& ends, DType y_type = DType::f32) {
    std::vector<std::int32_t> starts = {0}, lens, slots, tables;
    std::size_t max_blocks = 0;
    for (const Sequence* s : seqs) max_blocks = std::max(max_blocks, s->blocks.size());
    for (std::size_t i = 0; i < seqs.size(); i++) {
      starts.push_back(starts.back() + static_cast<std::int32_t>(ends[i] - begins[i]));
      lens.push_back(static_cast<std::int32_t>(ends[i]));
      std::vector<std::int32_t> table(max_blocks, 0);
      std::copy(seqs[i]->blocks.begin(), seqs[i]->blocks.end(), table.begin());
      tables.insert(tables.end(), table.begin(), table.end());
      for (std::int64_t t = begins[i]; t < ends[i]; t++)
        slots.push_back(table[static_cast<std::size_t>(t / cache.layout.block_len)] * cache.layout.block_len +
                        static_cast<std::int32_t>(t % cache.layout.block_len));
    }
    const std::int64_t m = starts.back(), d = shape.head_dim;
    const Tensor q = gather(seqs, begins, ends, &Sequence::q), k = gather(seqs, begins, ends, &Sequence::k),
                 v = gather(seqs, begins, ends, &Sequence::v);
    Tensor y = zeros(y_type, m, shape.num_heads * d);
    store_kv(ctx, View(k.view().data, DType::f32, {m, shape.num_kv_heads, d}),
             View(v.view().data, DType::f32, {m, shape.num_kv_heads, d}), slots, cache);
    AttentionBatch batch;
    batch.query_starts = starts;
    batch.context_lens = lens;
    batch.block_tables = tables;
    batch.max_blocks = static_cast<std::int32_t>(max_blocks);
    batch.scale = scale();
    batch.sliding_window = static_cast<std::int32_t>(window);
    attention(ctx, View(q.view().data, DType::f32, {m, shape.num_heads, d}), cache, batch, y);
    return y;
  }

  static Tensor gather(const std::vector<const Sequence*>& seqs, const std::vector<std::int64_t>& begins,
                       const std::vector<std::int64_t>& ends, Tensor Sequence::* member) {
    std::int64_t m = 0;
    for (std::size_t i = 0; i < seqs.size(); i++) m += ends[i] - begins[i];
    Tensor all = zeros(DType::f32, m, ((*seqs[0]).*member).view().dim(1));
    std::int64_t row = 0;
    for (std::size_t i = 0; i < seqs.size(); i++)
      for (std::int64_t t = begins[i]; t < ends[i]; t++, row++)
        std::memcpy(all.view().row<float>(row), (seqs[i]->*member).view().template row<float>(t),
                    static_cast<std::size_t>(all.view().dim(1)) * sizeof(float));
    return all;
  }

  ref::Matrix expected(const Sequence& s, std::int64_t begin, std::int64_t end) const {
    return ref::attention(
        matrix(s.q.view().rows(begin, end - begin)), rounded(s.k.view().rows(0, end)),
        rounded(s.v.view().rows(0, end)),
        {shape.num_heads, shape.num_kv_heads, shape.head_dim, static_cast<double>(scale()), window});
  }
  ref::Matrix rounded(const View& view) const {  // what the cache can hold of it
    const Tensor copy = zeros(cache.layout.dtype, view.dim(0), view.dim(1));
    for (std::int64_t i = 0; i < view.shape.num_elements(); i++) set(copy, i, get(view, i));
    return matrix(copy);
  }

  float scale() const { return 1 / std::sqrt(static_cast<float>(shape.head_dim)); }

  Shape4 shape{};
  std::int64_t window = 0;
  KvLayer cache;
  Tensor memory;
  std::vector<std::int32_t> free_blocks;
};

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
    for (const std::int64_t test_window : {0, 100}) {
      make_cache(dtype, {4, 2, 64}, 64, 64);
      window = test_window;
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
        ASSERT_TRUE(same(y, at, row, chunk)) << dtype_name(dtype) << " tokens " << at << " + " << chunk;
        at += chunk;
      }
      ASSERT_EQ(at, len);
    }
}

// A block that another sequence filled with infinities and NaN is given to a new one.
TEST_P(AttentionTest, StaleBlocksDoNotLeak) {
  for (const DType dtype : kFloatTypes) {
    make_cache(dtype, {2, 1, 64}, 64, 4);
    const Sequence seq = make_sequence(67);
    const Tensor clean = step({&seq}, {0}, {67});
    for (std::int64_t i = 0; i < memory.view().bytes() / 2; i++)
      static_cast<std::uint16_t*>(memory.view().data)[i] = i % 3 == 0 ? 0x7f80 : i % 3 == 1 ? 0xffff : 0x7c00;
    for (std::int64_t t = 0; t < 67; t++) {
      const Tensor y = step({&seq}, {t}, {t + 1});
      ASSERT_EQ(
          std::memcmp(y.view().data, clean.view().row<float>(t), static_cast<std::size_t>(y.view().bytes())),
          0)
          << dtype_name(dtype) << " token " << t;
    }
  }
}

// A number that is none must be seen: the sampler refuses a row of NaN.
TEST_P(AttentionTest, NanInIsNanOut) {
  make_cache(DType::bf16, {2, 1, 64}, 64, 4);
  const Sequence seq = make_sequence(5);
  set(seq.q, 3 * 128 + 7, std::numeric_limits<float>::quiet_NaN());
  const Tensor y = step({&seq}, {0}, {5});
  EXPECT_TRUE(std::isnan(get(y, 3 * 128)));
  EXPECT_FALSE(std::isnan(get(y, 2 * 128)));
  EXPECT_FALSE(std::isnan(get(y, 3 * 128 + 64)));
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
