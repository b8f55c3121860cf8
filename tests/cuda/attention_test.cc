#include "cuda/attention_fixture.h"

namespace lmdeploy::ops {
namespace {

struct CacheKind {
  DType dtype;
  std::int32_t quant_bits;
};
constexpr CacheKind kKinds[] = {{DType::f32, 0},  {DType::bf16, 0}, {DType::f16, 0}, {DType::bf16, 8},
                                {DType::bf16, 4}, {DType::f16, 4},  {DType::f32, 8}, {DType::f32, 4}};

constexpr HeadShape kShapes[] = {{9, 3, 64},  {14, 2, 64}, {4, 4, 96}, {32, 8, 128}, {16, 8, 128},
                                 {6, 2, 80},  {4, 2, 256}, {1, 1, 14}, {5, 5, 2},    {12, 1, 64},
                                 {34, 2, 64}, {2, 1, 22},  {4, 2, 40}};

class CudaAttention : public CudaAttentionTest {
 protected:
  std::int64_t pick(std::int64_t first, std::int64_t last) {
    return first + static_cast<std::int64_t>(rng() % static_cast<std::uint64_t>(last - first + 1));
  }
  DType pick_type() { return kFloatTypes[rng() % 3]; }

  // Everything before `begin` has been stored by an earlier step.
  void store_before(const std::vector<Part>& parts) {
    std::vector<Part> before;
    for (const auto& p : parts)
      if (p.begin > 0) before.push_back({p.seq, 0, p.begin});
    if (!before.empty()) store(before);
  }

  // Random sequences in one batch: decodes, prompts, chunks of prompts.
  void check_mixed_batch(std::int64_t num_seqs, std::int64_t max_context, std::int64_t max_queries) {
    std::vector<Sequence> seqs;
    std::vector<Part> parts;
    seqs.reserve(static_cast<std::size_t>(num_seqs));
    for (std::int64_t i = 0; i < num_seqs; i++) {
      const std::int64_t len = pick(1, max_context);
      const std::int64_t num_queries = rng() % 2 == 0 ? 1 : pick(1, std::min(len, max_queries));
      seqs.push_back(make_sequence(len));
      parts.push_back({&seqs.back(), len - num_queries, len});
    }
    store_before(parts);
    const DType y_type = pick_type();
    expect_reference(step(parts, y_type), parts, cache_name());
  }
};

TEST_F(CudaAttention, PromptsEqualTheReference) {
  for (const CacheKind& kind : kKinds)
    for (const HeadShape& s : kShapes)
      for (const std::int64_t len : {1, 63, 64, 65, 129, 300}) {
        make_cache(kind.dtype, s, len == 65 ? 128 : 64, 8, kind.quant_bits);
        window = len >= 129 && s.num_heads % 2 == 0 ? 70 : 0;
        const Sequence seq = make_sequence(len);
        expect_reference(step({{&seq, 0, len}}, pick_type()), {{&seq, 0, len}}, cache_name());
        ASSERT_FALSE(HasFatalFailure());
      }
}

// What is wrong where a kernel is: only the products with values count in the first, and almost only those
// with keys, and which tokens are visible, in the second.
TEST_F(CudaAttention, QueriesOfZeroAverageTheValues) {
  for (const CacheKind& kind : kKinds)
    for (const HeadShape& s : {HeadShape{8, 2, 64}, HeadShape{8, 2, 128}}) {
      make_cache(kind.dtype, s, 64, 8, kind.quant_bits);
      Sequence seq = make_sequence(300);
      for (std::int64_t i = 0; i < seq.q.shape().num_elements(); i++) set(seq.q, i, 0);
      expect_reference(step({{&seq, 0, 300}}), {{&seq, 0, 300}}, cache_name());
      ASSERT_FALSE(HasFatalFailure());
    }
}
TEST_F(CudaAttention, QueriesFindTheirToken) {
  for (const CacheKind& kind : kKinds)
    for (const HeadShape& s : {HeadShape{8, 2, 64}, HeadShape{8, 2, 128}}) {
      make_cache(kind.dtype, s, 64, 8, kind.quant_bits);
      Sequence seq = make_sequence(300);
      const std::int64_t width = s.num_heads * s.head_dim, kv_width = s.num_kv_heads * s.head_dim;
      for (std::int64_t t = 0; t < 300; t++)
        for (std::int64_t c = 0; c < width; c++) {
          const std::int64_t token = (t + 1) * 17 % (t + 1 + t % 3) % (t + 1), head = c / s.head_dim / 4;
          set(seq.q, t * width + c, 30 * get(seq.k, token * kv_width + head * s.head_dim + c % s.head_dim));
        }
      store({{&seq, 0, 300}});
      for (int round = 0; round < 4; round++)
        expect_reference(attend({{&seq, 0, 300}}), {{&seq, 0, 300}}, cache_name());
      ASSERT_FALSE(HasFatalFailure());
    }
}

// More blocks of rows than a card takes at once, tiles in the middle of which the window begins, and chunks
// that begin late.
TEST_F(CudaAttention, LongPromptsEqualTheReference) {
  struct Case {
    HeadShape shape;
    std::int64_t window;
    std::vector<std::int64_t> begins, ends;
  };
  const Case cases[] = {{{32, 8, 128}, 0, {0}, {1100}},
                        {{16, 8, 128}, 0, {1000, 0, 130}, {1600, 700, 259}},
                        {{8, 2, 128}, 300, {0, 611}, {1000, 900}},
                        {{14, 2, 64}, 0, {0, 77}, {1300, 1111}},
                        {{9, 3, 64}, 129, {500, 0}, {1500, 640}}};
  for (const CacheKind& kind : {kKinds[1], kKinds[2], kKinds[3], kKinds[4]})
    for (const Case& c : cases) {
      make_cache(kind.dtype, c.shape, 64, 60, kind.quant_bits);
      window = c.window;
      std::vector<Sequence> seqs;
      std::vector<Part> parts;
      seqs.reserve(c.ends.size());
      for (std::size_t i = 0; i < c.ends.size(); i++) {
        seqs.push_back(make_sequence(c.ends[i]));
        parts.push_back({&seqs.back(), c.begins[i], c.ends[i]});
      }
      store_before(parts);
      const Tensor y = step(parts, pick_type());
      for (int round = 0; round < 3; round++) expect_reference(y, parts, cache_name());
      ASSERT_FALSE(HasFatalFailure());
    }
}

// One sequence, which is divided into many splits, with one query or a few.
TEST_F(CudaAttention, DecodesEqualTheReference) {
  for (const CacheKind& kind : kKinds)
    for (const HeadShape& s : kShapes) {
      make_cache(kind.dtype, s, 64, 24, kind.quant_bits);
      const bool in_detail = s.num_heads == 14 || s.num_heads == 16;
      const std::int64_t seq_len = in_detail ? 1500 : 129;
      const Sequence seq = make_sequence(seq_len);
      store({{&seq, 0, seq_len}});
      for (const std::int64_t len : {1, 17, 129, 15, 16, 31, 32, 33, 63, 64, 65, 127, 128, 640, 1500}) {
        if (len == 15 && !in_detail) break;
        window = rng() % 3 == 0 ? 100 : 0;
        const std::int64_t num_queries = std::min<std::int64_t>(len, std::int64_t{1} << rng() % 3);
        const std::vector<Part> parts = {{&seq, len - num_queries, len}};
        expect_reference(attend(parts, pick_type()), parts, cache_name());
        ASSERT_FALSE(HasFatalFailure());
      }
    }
}

// More splits than a warp has lanes.
TEST_F(CudaAttention, LongContextsEqualTheReference) {
  for (const CacheKind& kind : kKinds)
    for (const HeadShape& s : {HeadShape{2, 1, 64}, HeadShape{1, 1, 128}}) {
      make_cache(kind.dtype, s, 64, 300, kind.quant_bits);
      const Sequence seq = make_sequence(9000);
      store({{&seq, 0, 9000}});
      const std::vector<Part> parts = {{&seq, 8999, 9000}};
      expect_reference(attend(parts), parts, cache_name());
      ASSERT_FALSE(HasFatalFailure());
    }
}

TEST_F(CudaAttention, MixedBatchesEqualTheReference) {
  for (int round = 0; round < 16; round++) {
    const CacheKind kind = kKinds[rng() % std::size(kKinds)];
    const HeadShape s = kShapes[rng() % std::size(kShapes)];
    const bool is_long = round % 8 == 0, is_wide = round % 8 == 1;
    make_cache(kind.dtype, s, rng() % 2 == 0 ? 64 : 192, is_wide ? 200 : 260, kind.quant_bits);
    window = rng() % 3 == 0 ? pick(1, 200) : 0;
    if (is_long)
      check_mixed_batch(pick(1, 3), 3000, 300);
    else
      check_mixed_batch(is_wide ? 67 : pick(1, 9), is_wide ? 150 : 600, 300);
    ASSERT_FALSE(HasFatalFailure()) << "round " << round;
  }
}

// A block that another sequence filled with infinities and NaN is given to a new one.
TEST_F(CudaAttention, StaleBlocksDoNotLeak) {
  for (const CacheKind& kind : kKinds)
    for (const HeadShape& s : {HeadShape{4, 2, 64}, HeadShape{2, 1, 40}}) {
      make_cache(kind.dtype, s, 64, 4, kind.quant_bits);
      const Sequence seq = make_sequence(67);
      std::vector<std::uint16_t> stale(static_cast<std::size_t>(memory.view().bytes() / 2));
      for (std::size_t i = 0; i < stale.size(); i++)
        stale[i] = i % 3 == 0 ? 0x7f80 : i % 3 == 1 ? 0xffff : 0x7c00;
      cuda::copy_to_device(memory.view().data, stale.data(), stale.size() * 2, ctx.stream);
      for (std::int64_t t = 0; t < 67; t++) {
        const Tensor y = step({{&seq, t, t + 1}});
        if (t % 11 == 0 || t > 60) expect_reference(y, {{&seq, t, t + 1}}, cache_name());
        for (std::int64_t i = 0; i < y.shape().num_elements(); i++)
          ASSERT_TRUE(std::isfinite(get(y, i))) << t;
      }
    }
}

// A number that is none must be seen: the sampler refuses a row of NaN.
TEST_F(CudaAttention, NanInIsNanOut) {
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  for (const std::int64_t num_queries : {1, 5, 40})
    for (const std::int32_t quant_bits : {0, 8, 4}) {
      SCOPED_TRACE(fmt::format("{} queries, {} bits", num_queries, quant_bits));
      make_cache(DType::bf16, {2, 1, 64}, 64, 4, quant_bits);
      const std::int64_t len = 40, first = len - num_queries;
      const Sequence seq = make_sequence(len);
      store({{&seq, 0, len}});
      set(seq.q, (len - 1) * 128 + 7, kNan);
      const Tensor y = attend({{&seq, first, len}});
      const std::int64_t last = (num_queries - 1) * 128;
      EXPECT_TRUE(std::isnan(get(y, last)));
      EXPECT_FALSE(std::isnan(get(y, last + 64)));
      if (num_queries > 1) {
        EXPECT_FALSE(std::isnan(get(y, last - 128)));
      }
      if (quant_bits == 0) continue;  // there a token that weighs 0 spoils its tile
      for (Tensor Sequence::* part : {&Sequence::k, &Sequence::v}) {
        const Sequence other = make_sequence(len);
        set(other.*part, (len - 1) * 64 + 7, kNan);
        store({{&other, 0, len}});
        const Tensor z = attend({{&other, first, len}});
        EXPECT_TRUE(std::isnan(get(z, last + 7)));
        // Where the prefill kernel multiplies numbers instead of codes, a value that weighs 0 spoils its
        // tile.
        const bool may_spoil = num_queries > 5 && part == &Sequence::v;
        if (num_queries > 1 && !may_spoil) {
          EXPECT_FALSE(std::isnan(get(z, last - 128 + 7)));
        }
      }
    }
}

// The prefill kernel, and the one for everything, give a row the same bits in any chunk and company.
TEST_F(CudaAttention, RowsOfPromptsDoNotDependOnCompany) {
  for (const CacheKind& kind : kKinds)
    for (const std::int64_t test_window : {0, 100}) {
      make_cache(kind.dtype, {4, 2, 64}, 64, 64, kind.quant_bits);
      window = test_window;
      const Sequence seq = make_sequence(590), other = make_sequence(200);
      const Tensor whole = step({{&seq, 0, 590}});
      std::int64_t at = 0;
      for (const std::int64_t chunk : {9, 130, 23, 64, 300, 64}) {
        const bool batched = at % 2 == 1;
        const std::int64_t row = batched ? 150 : 0;
        const Tensor y =
            batched ? step({{&other, 50, 200}, {&seq, at, at + chunk}}) : step({{&seq, at, at + chunk}});
        ASSERT_EQ(std::memcmp(y.view().row<float>(row), whole.view().row<float>(at),
                              static_cast<std::size_t>(chunk * 256) * sizeof(float)),
                  0)
            << cache_name() << ", tokens " << at << " + " << chunk;
        at += chunk;
      }
      ASSERT_EQ(at, 590);
    }
}

// A captured graph is launched for the longest contexts; what counts when it runs is what the device holds.
TEST_F(CudaAttention, TheDevicesNumbersCount) {
  for (const CacheKind& kind : kKinds) {
    make_cache(kind.dtype, {8, 2, 128}, 64, 40, kind.quant_bits);
    const Sequence a = make_sequence(1000), b = make_sequence(1000);
    store({{&a, 0, 1000}, {&b, 0, 1000}});
    const std::vector<Part> longest = {{&a, 999, 1000}, {&b, 999, 1000}},
                            actual = {{&a, 9, 10}, {&b, 499, 500}};
    Step step = make_step(longest), now = make_step(actual);
    for (const std::int32_t first_len : {10, 0}) {
      now.lens[0] = first_len;  // 0: a row that fills up the batch
      std::vector<Tensor> copies;
      const auto with_device = [&](const std::vector<std::int32_t>& host,
                                   const std::vector<std::int32_t>& device) {
        copies.push_back(upload(View(const_cast<std::int32_t*>(device.data()), DType::i32,
                                     {static_cast<std::int64_t>(device.size())})));
        Indices indices(host);
        indices.device = copies.back().view().as<std::int32_t>();
        return indices;
      };
      step.batch.query_starts = with_device(step.starts, now.starts);
      step.batch.context_lens = with_device(step.lens, now.lens);
      step.batch.block_tables = with_device(step.tables, step.tables);
      const Tensor y = attend(actual, step.batch, DType::f32);
      if (first_len > 0) {
        expect_reference(y, actual, cache_name());
      } else {
        for (std::int64_t i = 0; i < y.view().dim(1); i++) ASSERT_EQ(get(y, i), 0) << cache_name();
      }
    }
  }
}

// Numbers that 16 bits cannot hold as they are.
TEST_F(CudaAttention, LargeAndSmallQueries) {
  for (const CacheKind& kind : kKinds)
    for (const float factor : {1e-30F, 1e6F}) {
      make_cache(kind.dtype, {4, 2, 64}, 64, 4, kind.quant_bits);
      const Sequence seq = make_sequence(100);
      for (std::int64_t i = 0; i < 100 * 256; i++) set(seq.q, i, get(seq.q, i) * factor);
      for (std::int64_t i = 0; i < 100 * 128; i++) set(seq.k, i, get(seq.k, i) * (factor > 1 ? 1e-6F : 1));
      if (kind.dtype != DType::bf16 || kind.quant_bits != 0)  // fp16 keys would be 0 as well
        if (factor > 1) continue;
      for (const std::int64_t first : {0, 99}) {
        store({{&seq, 0, 100}});
        expect_reference(attend({{&seq, first, 100}}), {{&seq, first, 100}}, cache_name());
      }
    }
}

}  // namespace
}  // namespace lmdeploy::ops
