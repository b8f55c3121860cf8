// Quantising on a card beside quantising on the CPU: a model of two layers, in every recipe.
#include <gtest/gtest.h>

#include <cmath>

#include "checkpoint/stored_linear.h"
#include "cuda/no_card.h"
#include "model/compute_context.h"
#include "quantize/file_tensors.h"
#include "quantize/pipeline.h"
#include "quantize/tiny_model.h"

namespace lmdeploy::testing {
namespace {

constexpr std::int64_t kPlenty = std::int64_t{8} << 30;

Recipe make_recipe(Recipe::Scaling scaling, Recipe::Rounding rounding, OutputFormat format) {
  Recipe recipe;
  recipe.scaling = scaling;
  recipe.rounding = rounding;
  recipe.format = format;
  recipe.group_size = 32;
  if (format == OutputFormat::int8_per_token) {
    recipe.bits = 8;
    recipe.group_size = -1;
    recipe.symmetric = true;
  }
  return recipe;
}

class CudaQuantize : public ::testing::TestWithParam<DType> {
 protected:
  void SetUp() override {
    if (!why_no_card().empty()) GTEST_SKIP() << why_no_card();
    card_.emplace(Device::cuda, 2);
  }

  struct Stopped {};
  void quantize(Ctx& ctx, const std::string& name, const Recipe& recipe, std::int64_t device_bytes,
                bool resume = false, std::int64_t max_samples = 1'000'000) {
    WorkFolder work(root_ / name, {{"for", "test"}}, resume);
    const auto progress = [&](const PipelineProgress&) {
      if (max_samples-- == 0) throw Stopped();
    };
    quantize_layers(ctx, model_.source(), recipe, samples_, work, progress, {.device_bytes = device_bytes});
  }
  Checkpoint layer(const std::string& name, int layer_idx) const {
    return Checkpoint(root_ / (name + ".partial") / fmt::format("layer-{:05}", layer_idx));
  }
  std::vector<LayerReport> reports(const std::string& name) const {
    return WorkFolder(root_ / name, {{"for", "test"}}, true).reports();
  }

  // |a - b| / |b| of two tensors of floats.
  static double distance(const View& a, const View& b) {
    const auto value = [](const View& x, std::int64_t i) {
      if (x.dtype == DType::f16) return static_cast<double>(to_float(x.as<f16_t>()[i]));
      if (x.dtype == DType::bf16) return static_cast<double>(to_float(x.as<bf16_t>()[i]));
      return static_cast<double>(x.as<float>()[i]);
    };
    double lost = 0, whole = 0;
    for (std::int64_t i = 0; i < b.shape.num_elements(); i++) {
      lost += std::pow(value(a, i) - value(b, i), 2);
      whole += std::pow(value(b, i), 2);
    }
    return std::sqrt(lost / whole);
  }

  Cpu cpu_;
  std::optional<ComputeContext> card_;
  TempFolder root_;
  TinyModel model_{cpu_, Layout::llama, GetParam()};
  CalibrationSamples samples_ = TinyModel::samples(5, 150);
};

// What calibration gathers differs by what the kernels' sums round otherwise.
TEST_P(CudaQuantize, StatisticsAreTheCpus) {
  const Recipe recipe = make_recipe(Recipe::Scaling::none, Recipe::Rounding::nothing, OutputFormat::awq);
  quantize(cpu_.ctx, "cpu", recipe, 0);
  quantize(card_->ctx(), "card", recipe, kPlenty);
  for (const int layer_idx : {0, 1}) {
    const Checkpoint expected = layer("cpu", layer_idx), actual = layer("card", layer_idx);
    ASSERT_EQ(actual.names(), expected.names());
    for (const std::string& name : expected.names())
      EXPECT_LT(distance(actual.get(name), expected.get(name)), GetParam() == DType::f32 ? 5e-3 : 1e-2)
          << name;
  }
}

// Scales and norms agree as statistics do; every layer errs on its inputs as much as on the CPU.
TEST_P(CudaQuantize, EveryRecipeIsTheCpus) {
  using enum Recipe::Scaling;
  using enum Recipe::Rounding;
  const Recipe recipes[] = {
      make_recipe(rule, nearest, OutputFormat::awq), make_recipe(search, nearest, OutputFormat::awq),
      make_recipe(none, gptq, OutputFormat::gptq), make_recipe(rule, gptq, OutputFormat::awq),
      make_recipe(smooth, nearest, OutputFormat::int8_per_token)};
  for (const Recipe& recipe : recipes) {
    const std::string name = scaling_name(recipe.scaling) + rounding_name(recipe.rounding);
    quantize(cpu_.ctx, name + "cpu", recipe, 0);
    quantize(card_->ctx(), name + "card", recipe, kPlenty);
    const auto expected = reports(name + "cpu"), actual = reports(name + "card");
    ASSERT_EQ(actual.size(), expected.size());
    for (std::size_t l = 0; l < expected.size(); l++)
      for (std::size_t i = 0; i < expected[l].linears.size(); i++) {
        const LinearReport &there = expected[l].linears[i], &here = actual[l].linears[i];
        EXPECT_EQ(here.name, there.name);
        EXPECT_NEAR(here.relative_error, there.relative_error, 0.1 * there.relative_error)
            << name << there.name;
        EXPECT_EQ(here.zero_inputs, there.zero_inputs);
        EXPECT_EQ(here.not_finite, there.not_finite);
      }
    if (recipe.scaling == search) continue;  // may choose another candidate of nearly the same error
    const Checkpoint cpu_layer = layer(name + "cpu", 0), card_layer = layer(name + "card", 0);
    for (const std::string& tensor : cpu_layer.names()) {
      const bool is_scale = tensor.ends_with("scales") || tensor.ends_with("weight_scale");
      if (!is_scale && !tensor.ends_with("norm.weight")) continue;
      EXPECT_LT(distance(card_layer.get(tensor), cpu_layer.get(tensor)), 0.02) << name << tensor;
    }
  }
}

// From the first layer's own inputs, which are the same on both, nearly every code is.
TEST_P(CudaQuantize, CodesOfTheFirstLayerAreTheCpus) {
  const Recipe recipe = make_recipe(Recipe::Scaling::none, Recipe::Rounding::gptq, OutputFormat::gptq);
  quantize(cpu_.ctx, "cpu", recipe, 0);
  quantize(card_->ctx(), "card", recipe, kPlenty);
  const Checkpoint expected = layer("cpu", 0), actual = layer("card", 0);
  const std::string name = "model.layers.0.self_attn.q_proj.qweight";
  const View a = actual.get(name), b = expected.get(name);
  std::int64_t num_equal = 0;
  for (std::int64_t i = 0; i < b.shape.num_elements(); i++)
    for (int nibble = 0; nibble < 8; nibble++)
      num_equal += ((a.as<std::int32_t>()[i] ^ b.as<std::int32_t>()[i]) >> (4 * nibble) & 15) == 0 ? 1 : 0;
  EXPECT_GT(static_cast<double>(num_equal), 0.995 * 8 * static_cast<double>(b.shape.num_elements()));
}

// Samples on the card or in files, at once or cut off in the second layer: the same bytes.
TEST_P(CudaQuantize, WhereSamplesLieAndResumingChangeNothing) {
  for (const auto rounding : {Recipe::Rounding::nearest, Recipe::Rounding::gptq}) {
    const Recipe recipe = make_recipe(Recipe::Scaling::rule, rounding, OutputFormat::awq);
    const std::string name = rounding_name(rounding);
    const std::int64_t stop = rounding == Recipe::Rounding::gptq ? 5 * 6 + 8 : 5 + 3;
    quantize(card_->ctx(), name + "card", recipe, kPlenty);
    quantize(card_->ctx(), name + "files", recipe, 0);
    EXPECT_THROW(quantize(card_->ctx(), name + "cut", recipe, kPlenty, false, stop), Stopped);
    quantize(card_->ctx(), name + "cut", recipe, kPlenty, true);
    for (const std::string other : {"files", "cut"})
      for (const int layer_idx : {0, 1}) {
        const Checkpoint expected = layer(name + "card", layer_idx), actual = layer(name + other, layer_idx);
        for (const std::string& tensor : expected.names())
          EXPECT_EQ(std::memcmp(actual.get(tensor).data, expected.get(tensor).data,
                                static_cast<std::size_t>(expected.get(tensor).bytes())),
                    0)
              << other << ": " << tensor;
      }
  }
}

INSTANTIATE_TEST_SUITE_P(DTypes, CudaQuantize, ::testing::Values(DType::f32, DType::bf16),
                         [](const auto& test) { return std::string(dtype_name(test.param)); });

}  // namespace
}  // namespace lmdeploy::testing
