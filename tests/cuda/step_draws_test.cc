// What a step leaves to the card and the host takes later: ids, tokens, log probabilities, uploads.
#include "ops/step_draws.h"

#include "cuda/cuda_fixture.h"
#include "tensor/cuda/upload_ring.h"

namespace lmdeploy::ops {
namespace {

class CudaStepTest : public CudaOpsTest {
 protected:
  void SetUp() override {
    CudaOpsTest::SetUp();
    if (IsSkipped()) return;
    ring.emplace(ctx.stream);
    ctx.uploads = &*ring;
  }
  void TearDown() override {
    ring.reset();
    CudaOpsTest::TearDown();
  }

  std::vector<std::int32_t> downloaded_ids(const View& device) {
    const Tensor host = download(device);
    const auto* ids = host.view().as<std::int32_t>();
    return {ids, ids + host.shape().num_elements()};
  }

  void expect_same(const View& logits, const std::vector<RowDraw>& rows, std::span<const DrawnToken> drawn) {
    ASSERT_EQ(drawn.size(), rows.size());
    std::vector<SamplingRow> sampling;
    std::vector<std::int32_t> tokens(rows.size()), targets, counts;
    for (const RowDraw& row : rows) sampling.push_back(row.row);
    sample(ctx, logits, sampling, tokens);
    for (std::size_t i = 0; i < rows.size(); i++) {
      targets.push_back(rows[i].logprob ? tokens[i] : -1);
      counts.push_back(rows[i].logprob ? rows[i].num_top : 0);
    }
    std::vector<float> logprobs(rows.size());
    std::vector<std::vector<IdLogprob>> tops(rows.size());
    token_logprobs(ctx, logits, targets, logprobs);
    top_logprobs(ctx, logits, counts, tops);
    for (std::size_t i = 0; i < rows.size(); i++) {
      EXPECT_EQ(drawn[i].id, tokens[i]) << i;
      EXPECT_EQ(drawn[i].logprob, logprobs[i]) << i;
      ASSERT_EQ(drawn[i].top.size(), tops[i].size()) << i;
      for (std::size_t j = 0; j < tops[i].size(); j++) {
        EXPECT_EQ(drawn[i].top[j].id, tops[i][j].id) << i;
        EXPECT_EQ(drawn[i].top[j].logprob, tops[i][j].logprob) << i;
      }
    }
  }

  std::optional<cuda::UploadRing> ring;
};

TEST_F(CudaStepTest, IdsBelowZeroAreDraws) {
  for (const std::int64_t count : {1, 255, 256, 257, 8192}) {
    std::vector<std::int32_t> drawn = random_ids(300, 1000), ids = random_ids(count, 1000), expected;
    drawn[7] = -1;  // nothing was drawn
    ids[0] = ~7;
    for (std::size_t i = 1; i < ids.size(); i += 2) ids[i] = ~(ids[i] % 300);
    for (const std::int32_t id : ids)
      expected.push_back(id >= 0 ? id : std::max(drawn[static_cast<std::size_t>(~id)], 0));
    const Tensor device_drawn = upload(View(drawn.data(), DType::i32, {300})),
                 y = poisoned(DType::i32, {count});
    const Indices resolved = resolve_ids(ctx, ids, device_drawn, y);
    EXPECT_EQ(resolved.device, y.view().data);
    EXPECT_EQ(resolved.size(), ids.size());
    EXPECT_EQ(downloaded_ids(y), expected) << count;
  }
}

TEST_F(CudaStepTest, DrawsThatDoNotExistAreRefused) {
  const Tensor drawn = poisoned(DType::i32, {4}), y = poisoned(DType::i32, {1});
  const std::vector<std::int32_t> ids{~4};
  EXPECT_THROW(resolve_ids(ctx, ids, drawn, y), CheckFailure);
}

// Two steps on their way at once give what the ops give that answer at once.
TEST_F(CudaStepTest, DrawsAreThoseOfTheSynchronousOps) {
  constexpr std::int64_t kVocabulary = 5000;
  const std::unique_ptr<StepDraws> steps[] = {StepDraws::make(ctx), StepDraws::make(ctx)};
  for (int round = 0; round < 3; round++) {
    std::vector<Tensor> logits, tokens;
    std::vector<std::vector<RowDraw>> rows(2);
    const std::int32_t banned[] = {3, 4};
    for (std::size_t s = 0; s < 2; s++) {
      const std::int64_t m = s == 0 ? 5 : 17 + 60 * round;
      logits.push_back(upload(random(DType::f32, m, kVocabulary, 3)));
      tokens.push_back(poisoned(DType::i32, {m}));
      for (std::int64_t i = 0; i < m; i++) {
        RowDraw row;
        row.row.temperature = i % 3 == 0 ? 0 : 0.8F;
        row.row.top_k = i % 2 == 0 ? 0 : 40;
        if (i % 4 == 1) row.row.banned_ids = banned;
        row.row.seed = static_cast<std::uint64_t>(i);
        row.row.draw = static_cast<std::uint64_t>(round);
        row.logprob = round > 0 && i % 2 == 0;
        row.num_top = round == 2 ? static_cast<std::int32_t>(i % 5) : 0;
        rows[s].push_back(row);
      }
      steps[s]->begin(ctx);
      steps[s]->put(ctx, logits[s], rows[s], tokens[s]);
    }
    for (std::size_t s = 0; s < 2; s++) {
      steps[s]->wait();
      EXPECT_GT(steps[s]->draw_ms(), 0);
      EXPECT_GE(steps[s]->step_ms(), steps[s]->draw_ms());
      expect_same(logits[s], rows[s], steps[s]->drawn());
      std::vector<std::int32_t> ids;
      for (const DrawnToken& drawn : steps[s]->drawn()) ids.push_back(drawn.id);
      EXPECT_EQ(downloaded_ids(tokens[s]), ids);
    }
  }
}

TEST_F(CudaStepTest, AStepWithoutDrawsEndsToo) {
  const std::unique_ptr<StepDraws> step = StepDraws::make(ctx);
  step->begin(ctx);
  step->put(ctx, View(nullptr, DType::f32, {0, 10}), {}, View(nullptr, DType::i32, {0}));
  step->wait();
  EXPECT_TRUE(step->drawn().empty());
}

// Several times round the ring, in pieces of all sizes, and one that is larger than a part of it.
TEST_F(CudaStepTest, UploadsArriveInOrderHoweverMany) {
  std::int64_t total = 0;
  for (int i = 0; total < std::int64_t{40} << 20; i++) {
    const std::int64_t count = i == 10 ? 1 << 20 : 1 + (i * 7919) % 200'000;
    std::vector<std::int32_t> numbers = random_ids(count, 1 << 30);
    const std::vector<std::int32_t> expected = numbers;
    const Tensor card = poisoned(DType::i32, {count});
    ring->copy_to_device(card.view().data, numbers.data(), numbers.size() * sizeof(std::int32_t));
    std::fill(numbers.begin(), numbers.end(), -1);
    ASSERT_EQ(downloaded_ids(card), expected) << i;
    total += 4 * count;
  }
}

TEST_F(CudaStepTest, NothingIsUploadedIntoAGraph) {
  const Tensor card = poisoned(DType::i32, {1});
  const std::int32_t number = 1;
  CUDA_CHECK(cudaStreamBeginCapture(stream_handle(), cudaStreamCaptureModeThreadLocal));
  EXPECT_THROW(ring->copy_to_device(card.view().data, &number, sizeof(number)), CheckFailure);
  cudaGraph_t graph = nullptr;
  CUDA_CHECK(cudaStreamEndCapture(stream_handle(), &graph));
  CUDA_CHECK(cudaGraphDestroy(graph));
}

}  // namespace
}  // namespace lmdeploy::ops
