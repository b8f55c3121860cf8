#include "quantize/block_scaling.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "quantize/calibration_probe.h"
#include "quantize/matrices.h"
#include "quantize/tiny_model.h"

namespace lmdeploy::testing {
namespace {

class BlockScaling : public ::testing::TestWithParam<Layout> {
 protected:
  // What the first layer makes of the samples, [num_samples * seqlen * hidden_size], and of its inputs.
  std::vector<float> run(const LinearObserver& observe = {}) {
    const StreamShape shape{samples_.num_samples, samples_.seqlen, 64};
    {
      StreamWriter embeddings(root_ / "in", shape);
      write_embeddings(cpu_.ctx, model_.source(), samples_, embeddings);
      embeddings.commit();
      StreamWriter output(root_ / "out", shape);
      BlockRunner(cpu_.ctx, model_.source(), 0, shape)
          .run(StreamReader(root_ / "in", shape), &output, observe, [] {});
      output.commit();
    }
    const StreamReader reader(root_ / "out", shape);
    std::vector<float> result(static_cast<std::size_t>(samples_.num_samples * samples_.seqlen * 64));
    for (std::int64_t i = 0; i < samples_.num_samples; i++)
      reader.read(cpu_.ctx, i, {result.data() + i * samples_.seqlen * 64, DType::f32, {samples_.seqlen, 64}});
    return result;
  }

  Cpu cpu_;
  TempFolder root_;
  TinyModel model_{cpu_, GetParam(), DType::f32};
  CalibrationSamples samples_ = TinyModel::samples(2, 70);
};

TEST_P(BlockScaling, TheLayerComputesWhatItDid) {
  const std::vector<float> before = run();
  BlockWeights weights(cpu_.ctx, model_.source(), 0);
  int num_scaled = 0;
  for (const LinearGroup& group : model_.source().architecture.linear_groups) {
    if (!can_scale(group, weights)) continue;
    std::vector<float> scales(static_cast<std::size_t>(num_channels(model_.source().config, group.input)));
    for (std::size_t i = 0; i < scales.size(); i++) scales[i] = 0.3F + static_cast<float>(i % 7);
    fold_scales(cpu_.ctx, group, scales, weights);
    ++num_scaled;
  }
  EXPECT_EQ(num_scaled, 3);  // grouped queries: not what the values make
  const std::vector<float> after = run();
  for (std::size_t i = 0; i < before.size(); i++)
    ASSERT_NEAR(after[i], before[i], 0.01 * std::fabs(before[i]) + 1e-4) << i;  // bf16 between layers
}

TEST_P(BlockScaling, ANormKeepsItsZeros) {
  BlockWeights weights(cpu_.ctx, model_.source(), 0);
  const LinearGroup& group = model_.source().architecture.linear_groups.front();
  float* norm = weights.weight(group.maker_name).as<float>();
  const float other = norm[6];
  norm[5] = 0;
  const float column = weights.weight(group.linears.front()).row<float>(3)[5];
  const std::vector<float> divisors = fold_scales(cpu_.ctx, group, std::vector<float>(64, 3), weights);
  EXPECT_EQ(divisors[5], 1);
  EXPECT_EQ(norm[5], 0);
  EXPECT_EQ(weights.weight(group.linears.front()).row<float>(3)[5], column);
  EXPECT_EQ(norm[6], to_float(from_float<bf16_t>(other / 3)));  // as the file will hold it
  EXPECT_EQ(divisors[6], other / norm[6]);
}

TEST_P(BlockScaling, TheCheckpointHasItsOwnAgainAfterwards) {
  const std::vector<float> before = run();
  {
    BlockWeights weights(cpu_.ctx, model_.source(), 0);
    const LinearGroup& group = model_.source().architecture.linear_groups.back();
    const View weight = weights.weight(group.linears.front());
    std::memset(weight.data, 0, static_cast<std::size_t>(weight.bytes()));
    EXPECT_NE(run(), before);
  }
  EXPECT_EQ(run(), before);
}

TEST(SmoothScales, BalanceActivationsAndWeights) {
  const Tensor a = matrix_of(2, 3, {1, -4, 0, 2, 1, 0}), b = matrix_of(1, 3, {-8, 2, 0});
  const std::vector<View> weights{a, b};
  Cpu cpu;
  EXPECT_EQ(smooth_scales(cpu.ctx, std::vector<float>{2, 36, 5}, weights), (std::vector<float>{0.5, 3, 1}));
  EXPECT_EQ(smooth_scales(cpu.ctx, std::vector<float>{0, 36, 5}, weights)[0], 1);
}

INSTANTIATE_TEST_SUITE_P(Layouts, BlockScaling, ::testing::Values(Layout::llama, Layout::internlm2));

}  // namespace
}  // namespace lmdeploy::testing
