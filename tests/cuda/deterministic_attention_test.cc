// Ctx::deterministic: attention of a query is the same bits in a prompt, in a chunk of it, alone, in a batch.
#include "cuda/attention_fixture.h"

namespace lmdeploy::ops {
namespace {

struct CacheKind {
  DType dtype;
  std::int32_t quant_bits;
};
constexpr CacheKind kKinds[] = {
    {DType::bf16, 0}, {DType::f16, 0}, {DType::bf16, 8}, {DType::bf16, 4}, {DType::f32, 0}};
constexpr HeadShape kShapes[] = {{4, 4, 128}, {14, 2, 64}, {8, 1, 96}, {2, 1, 256}, {70, 1, 64}, {2, 1, 22}};
constexpr std::int64_t kLen = 1100;  // three splits

class CudaDeterministicAttention : public CudaAttentionTest {
 protected:
  void SetUp() override {
    CudaAttentionTest::SetUp();
    ctx.deterministic = true;
  }

  // Rows of `actual` from first_row on are those of positions [begin, end) in `whole`.
  void expect_equal(const Tensor& actual, std::int64_t first_row, const Tensor& whole, std::int64_t begin,
                    std::int64_t end, const std::string& what) {
    const auto width = static_cast<std::size_t>(shape.num_heads * shape.head_dim);
    for (std::int64_t i = begin; i < end; i++)
      ASSERT_EQ(std::memcmp(actual.view().row<float>(first_row + i - begin), whole.view().row<float>(i),
                            width * sizeof(float)),
                0)
          << what << ": query " << i << " of [" << begin << ", " << end << ")";
  }

  void check() {
    const Sequence seq = make_sequence(kLen), other = make_sequence(300), brief = make_sequence(1);
    store({{&seq, 0, kLen}, {&other, 0, 300}, {&brief, 0, 1}});
    const std::vector<Part> prompt = {{&seq, 0, kLen}};
    const Tensor whole = attend(prompt);
    expect_reference(whole, prompt, cache_name());
    ASSERT_FALSE(HasFatalFailure());
    const std::pair<std::int64_t, std::int64_t> chunks[] = {
        {0, 1},   {0, 512},   {511, 512},  {512, 513},   {500, 530},
        {63, 65}, {700, 764}, {100, 1000}, {1023, 1025}, {kLen - 1, kLen}};
    for (const auto& [begin, end] : chunks) {
      expect_equal(attend({{&seq, begin, end}}), 0, whole, begin, end, cache_name() + ", alone");
      ASSERT_FALSE(HasFatalFailure());
      const std::vector<Part> together = {
          {&other, 299, 300}, {&seq, begin, end}, {&other, 20, 280}, {&brief, 0, 1}};
      expect_equal(attend(together), 1, whole, begin, end, cache_name() + ", in a batch");
      ASSERT_FALSE(HasFatalFailure());
    }
  }
};

TEST_F(CudaDeterministicAttention, QueriesDoNotDependOnCompany) {
  for (const CacheKind& kind : kKinds)
    for (const HeadShape& s : kShapes) {
      make_cache(kind.dtype, s, 64, 24, kind.quant_bits);
      for (const std::int64_t a_window : {0, 600}) {
        free_blocks.resize(24);
        std::iota(free_blocks.begin(), free_blocks.end(), 0);
        window = a_window;
        check();
        ASSERT_FALSE(HasFatalFailure());
      }
    }
}

// More splits and rows than scratch holds at once.
TEST_F(CudaDeterministicAttention, LongContexts) {
  constexpr std::int64_t kLong = 9000;
  make_cache(DType::bf16, {32, 32, 128}, 64, 160);
  const Sequence seq = make_sequence(kLong);
  store({{&seq, 0, kLong}});
  const std::vector<Part> chunk = {{&seq, kLong - 600, kLong}};
  const Tensor together = attend(chunk);
  expect_reference(together, chunk, cache_name());
  for (const std::int64_t row : {0, 63, 64, 255, 599}) {
    const Tensor alone = attend({{&seq, kLong - 600 + row, kLong - 600 + row + 1}});
    ASSERT_EQ(
        std::memcmp(alone.view().row<float>(0), together.view().row<float>(row), 32 * 128 * sizeof(float)), 0)
        << "row " << row;
  }
}

// What fills up a batch has no context, and its rows become 0.
}  // namespace
}  // namespace lmdeploy::ops
