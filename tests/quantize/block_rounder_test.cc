#include "quantize/block_rounder.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "quantize/samples_at_a_layer.h"

namespace lmdeploy::testing {
namespace {

constexpr std::int64_t kTokens = 300;

class BlockRounderTest : public ::testing::Test {
 protected:
  // What the layers with the input `which` read in the layer as the checkpoint has it.
  Tensor read(LinearInput which) {
    const std::int64_t k = num_channels(model_.source().config, which);
    Tensor rows(host_allocator(), DType::bf16, {kTokens, k});
    BlockRunner(cpu_.ctx, model_.source(), 0, samples_.shape()).read_input(samples_.reader(), 0, which, rows);
    return rows;
  }

  static bool equal(const Tensor& a, const Tensor& b) {
    return std::memcmp(a.view().data, b.view().data, static_cast<std::size_t>(a.view().bytes())) == 0;
  }

  // sum of a^T b in double, against what was gathered of it.
  static void expect_sum(const View& actual, const std::function<double(std::int64_t, std::int64_t)>& a,
                         const std::function<double(std::int64_t, std::int64_t)>& b) {
    for (std::int64_t i = 0; i < actual.dim(0); i++)
      for (std::int64_t j = 0; j < actual.dim(1); j++) {
        double sum = 0, size = 0;
        for (std::int64_t t = 0; t < kTokens; t++) {
          sum += a(t, i) * b(t, j);
          size += std::abs(a(t, i) * b(t, j));
        }
        ASSERT_NEAR(actual.row<float>(i)[j], sum, 1e-5 * size) << i << ", " << j;
      }
  }

  GptqInputs gathered(const Tensor& exact, const Tensor& x) {
    GptqInputs inputs(cpu_.ctx, x.shape()[1], DType::bf16, kTokens);
    inputs.add(exact, x);
    return inputs;
  }

  Cpu cpu_;
  Contexts contexts_{cpu_.ctx};
  TinyModel model_{cpu_, Layout::llama};
  SamplesAtALayer samples_{cpu_, model_, 1, kTokens};
  Recipe recipe_{.scaling = Recipe::Scaling::none, .rounding = Recipe::Rounding::gptq, .group_size = 32};
};

TEST_F(BlockRounderTest, GptqSumsWhatIsReadBehindRoundedLayers) {
  const Tensor exact = read(LinearInput::attention_output), qkv = read(LinearInput::qkv);
  BlockRounder block(contexts_, model_.source(), recipe_, 0);
  block.round_by_gptq(model_.source().architecture.linear_groups[0], gathered(qkv, qkv));
  EXPECT_TRUE(equal(read(LinearInput::qkv), qkv));
  const Tensor x = read(LinearInput::attention_output);
  EXPECT_FALSE(equal(x, exact));  // queries, keys and values are no longer what they were

  GptqInputs sums = gathered(exact, x);
  const auto now = [&](std::int64_t t, std::int64_t i) {
    return static_cast<double>(to_float(x.view().row<bf16_t>(t)[i]));
  };
  const auto lost = [&](std::int64_t t, std::int64_t i) {  // a difference of bf16 that is rounded to bf16
    const float difference = to_float(exact.view().row<bf16_t>(t)[i]) - to_float(x.view().row<bf16_t>(t)[i]);
    return static_cast<double>(to_float(from_float<bf16_t>(difference)));
  };
  expect_sum(sums.gram->matrix(), now, now);
  expect_sum(sums.drift.matrix(), now, lost);
}

TEST_F(BlockRounderTest, TakesWhatItHasRounded) {
  const Tensor qkv = read(LinearInput::qkv);
  BlockRounder block(contexts_, model_.source(), recipe_, 0);
  block.round_by_gptq(model_.source().architecture.linear_groups[0], gathered(qkv, qkv));
  const QuantizedBlock result = block.take();
  ASSERT_EQ(result.report.linears.size(), 3U);
  EXPECT_EQ(result.report.linears[1].name, "model.layers.0.self_attn.k_proj");
}

}  // namespace
}  // namespace lmdeploy::testing
