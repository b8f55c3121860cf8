// A sequence's numbers do not depend on company: alone or in a batch, whole or in chunks, prefilled or
// decoded, its logits have the same bits, whatever the cache holds of keys and values.
#include <gtest/gtest.h>

#include <algorithm>
#include <tuple>

#include "model/model_session.h"

namespace lmdeploy::testing {
namespace {

constexpr std::int32_t kMaxLen = 900;

class Company : public ::testing::TestWithParam<std::tuple<std::string, DType, std::int32_t>> {
 protected:
  void SetUp() override {
    LoadOptions options;
    options.dtype = std::get<DType>(GetParam());
    options.kv_bits = std::get<std::int32_t>(GetParam());
    options.calibration_ids = random_ids(60, 90, 20);
    model_ = load_model(cpu_.ctx, golden_folder(std::get<std::string>(GetParam())), options);
  }
  Ids ids(std::int32_t count, unsigned seed) const {
    return random_ids(count, model_->info().vocab_size, seed);
  }
  std::vector<Logits> alone(const Ids& sequence) {
    return ModelSession(cpu_.ctx, *model_, 1, kMaxLen).prefill(0, sequence, kMaxLen);
  }

  Cpu cpu_;
  std::unique_ptr<const Model> model_;
};

TEST_P(Company, ChunkedPrefillIsWholePrefill) {
  const Ids sequence = ids(200, 1);
  const std::vector<Logits> whole = alone(sequence);
  for (const std::int32_t chunk : {1, 7, 64, 130}) {
    ModelSession session(cpu_.ctx, *model_, 1, kMaxLen);
    EXPECT_TRUE(session.prefill(0, sequence, chunk) == whole) << "chunks of " << chunk;
  }
}

TEST_P(Company, AStepOfManyChunksIsTheSumOfItsSequences) {
  // 1500 tokens: more than the model computes at once, with seams inside sequences.
  const std::vector<Ids> sequences{ids(300, 2), ids(1, 3), ids(850, 4), ids(349, 5)};
  ModelSession session(cpu_.ctx, *model_, 4, kMaxLen);
  std::vector<Feed> feeds;
  for (int i = 0; i < 4; i++) feeds.push_back({i, sequences[static_cast<std::size_t>(i)]});
  const auto together = session.step(feeds);
  for (std::size_t i = 0; i < sequences.size(); i++)
    EXPECT_TRUE(together[i] == alone(sequences[i])) << "sequence " << i;
}

TEST_P(Company, PrefillAndDecodeShareAStep) {
  const Ids old = ids(90, 6), fresh = ids(70, 7);
  const std::vector<Logits> old_alone = alone(old), fresh_alone = alone(fresh);
  ModelSession session(cpu_.ctx, *model_, 2, kMaxLen);
  session.prefill(0, Ids(old.begin(), old.begin() + 60), 60);
  for (std::size_t i = 60; i < 90; i++) {
    std::vector<Feed> feeds{{0, {old[i]}}};
    const std::size_t begin = (i - 60) * 7;  // the other one comes in pieces of 7 while this one decodes
    if (begin < fresh.size())
      feeds.push_back({1, Ids(fresh.begin() + static_cast<std::ptrdiff_t>(begin),
                              fresh.begin() + static_cast<std::ptrdiff_t>(begin + 7))});
    const auto logits = session.step(feeds);
    ASSERT_TRUE(logits[0][0] == old_alone[i]) << "token " << i;
    if (begin < fresh.size()) {
      for (std::size_t j = 0; j < 7; j++) ASSERT_TRUE(logits[1][j] == fresh_alone[begin + j]);
    }
  }
}

TEST_P(Company, LogitsOfTheLastTokenOnlyAreTheSame) {
  const std::vector<Ids> sequences{ids(40, 8), ids(700, 9), ids(3, 10)};
  ModelSession session(cpu_.ctx, *model_, 3, kMaxLen);
  const auto logits =
      session.step({{0, sequences[0], false}, {1, sequences[1], false}, {2, sequences[2], true}});
  EXPECT_TRUE(logits[0][0] == alone(sequences[0]).back());
  EXPECT_TRUE(logits[1][0] == alone(sequences[1]).back());
  EXPECT_TRUE(logits[2] == alone(sequences[2]));
}

TEST_P(Company, TheNumberOfThreadsDoesNotMatter) {
  const Ids sequence = ids(100, 11);
  Cpu one(1);
  EXPECT_TRUE(ModelSession(one.ctx, *model_, 1, kMaxLen).prefill(0, sequence, kMaxLen) == alone(sequence));
}

TEST_P(Company, ScratchDoesNotGrowWithTheStep) {
  ModelSession session(cpu_.ctx, *model_, 4, kMaxLen);
  session.step({{0, ids(600, 12), false}});
  const std::size_t reserved = cpu_.workspace.reserved_bytes();
  session.step({{0, ids(100, 13)}, {1, ids(900, 14)}, {2, ids(900, 15)}, {3, ids(900, 16)}});
  EXPECT_LE(cpu_.workspace.reserved_bytes(), reserved + (std::size_t{8} << 20));
}

std::string test_name(const ::testing::TestParamInfo<Company::ParamType>& test) {
  const auto& [model, dtype, kv_bits] = test.param;
  return fmt::format("{}_{}{}", model, dtype_name(dtype), kv_bits == 0 ? "" : fmt::format("_int{}", kv_bits));
}

INSTANTIATE_TEST_SUITE_P(Models, Company,
                         ::testing::Combine(::testing::Values("llama_bias_tied", "qwen3", "mistral"),
                                            ::testing::Values(DType::f32, DType::bf16, DType::f16),
                                            ::testing::Values(0)),
                         test_name);
INSTANTIATE_TEST_SUITE_P(QuantizedCaches, Company,
                         ::testing::Combine(::testing::Values("llama_bias_tied", "mistral"),
                                            ::testing::Values(DType::f32, DType::bf16),
                                            ::testing::Values(8, 4)),
                         test_name);

}  // namespace
}  // namespace lmdeploy::testing
