#include "quantize/pipeline.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <sstream>

#include "base/error.h"
#include "quantize/output_folder.h"
#include "quantize/tiny_model.h"

namespace lmdeploy::testing {
namespace {

namespace fs = std::filesystem;

Recipe awq_recipe(Recipe::Rounding rounding) {
  Recipe recipe;
  recipe.rounding = rounding;
  recipe.group_size = 32;
  return recipe;
}

std::string bytes_of(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

class PipelineTest : public ::testing::TestWithParam<Layout> {
 protected:
  // The reports of all layers; stops after `max_samples` of them with an exception of its own.
  struct Stopped {};
  std::vector<LayerReport> quantize(const std::string& name, const Recipe& recipe, bool resume = false,
                                    std::int64_t max_samples = 1'000'000) {
    WorkFolder work(root_ / name, {{"for", "test"}}, resume);
    quantize_layers(cpu_.ctx, model_.source(), recipe, samples_, work,
                    [&](const PipelineProgress&) {
                      if (max_samples-- == 0) throw Stopped();
                    },
                    {.device_bytes = device_bytes_});
    const fs::path result = work.make_result_folder();
    write_model_folder(model_.source(), recipe, work, result, {});
    std::vector<LayerReport> reports = work.reports();
    work.publish();
    return reports;
  }

  Cpu cpu_;
  TempFolder root_;
  TinyModel model_{cpu_, GetParam()};
  CalibrationSamples samples_ = TinyModel::samples(3, 50);
  std::int64_t device_bytes_ = 0;
};

TEST_P(PipelineTest, EveryLinearIsReported) {
  for (const auto rounding : {Recipe::Rounding::nearest, Recipe::Rounding::gptq}) {
    const std::string name = rounding_name(rounding);
    const std::vector<LayerReport> reports = quantize(name, awq_recipe(rounding));
    ASSERT_EQ(reports.size(), 2U);
    for (const LayerReport& report : reports) {
      EXPECT_EQ(report.linears.size(), GetParam() == Layout::llama ? 7U : 5U);
      for (const LinearReport& linear : report.linears) {
        EXPECT_GT(linear.relative_error, 0.01) << linear.name;
        EXPECT_LT(linear.relative_error, 0.2) << linear.name;
        EXPECT_EQ(linear.clipped, 0) << linear.name;
        EXPECT_EQ(linear.not_finite, 0) << linear.name;
      }
    }
  }
}

TEST_P(PipelineTest, GptqErrsLess) {
  const auto nearest = quantize("nearest", awq_recipe(Recipe::Rounding::nearest));
  const auto gptq = quantize("gptq", awq_recipe(Recipe::Rounding::gptq));
  for (std::size_t i = 0; i < nearest[0].linears.size(); i++)  // the first layer's inputs are the same
    EXPECT_LT(gptq[0].linears[i].relative_error, nearest[0].linears[i].relative_error)
        << gptq[0].linears[i].name;
}

// As a whole, on a text that calibration has not seen. Both are of 40 tokens, so that inputs have directions
// that matter: among those of random tokens there is nothing to gain.
TEST_P(PipelineTest, GptqLosesLessOfTheModel) {
  samples_ = choose_samples(random_ids(1600, 43, 3), {16, 100, SampleOrder::sequential, 0});
  const Ids held = random_ids(200, 43, 77);
  const auto logits_of = [&](const fs::path& folder) {
    const auto model = load_model(cpu_.ctx, folder, {});
    return ModelSession(cpu_.ctx, *model, 1, 256).prefill(0, held, 200);
  };
  const std::vector<Logits> exact = logits_of(model_.folder());
  const auto loss = [&](Recipe::Scaling scaling, Recipe::Rounding rounding) {
    Recipe recipe = awq_recipe(rounding);
    recipe.scaling = scaling;
    const std::string name = scaling_name(scaling) + rounding_name(rounding);
    quantize(name, recipe);
    const std::vector<Logits> logits = logits_of(root_ / name);
    double sum = 0;
    for (std::size_t t = 0; t < held.size(); t++)
      for (std::size_t i = 0; i < logits[t].size(); i++)
        sum += std::pow(static_cast<double>(logits[t][i]) - exact[t][i], 2);
    return sum;
  };
  for (const auto scaling : {Recipe::Scaling::none, Recipe::Scaling::rule})
    EXPECT_LT(loss(scaling, Recipe::Rounding::gptq), 0.7 * loss(scaling, Recipe::Rounding::nearest))
        << scaling_name(scaling);
}

TEST_P(PipelineTest, AResumedRunMakesTheSameFiles) {
  for (const auto rounding : {Recipe::Rounding::nearest, Recipe::Rounding::gptq}) {
    const Recipe recipe = awq_recipe(rounding);
    const std::string name = rounding_name(rounding);
    quantize(name + " whole", recipe);
    const std::string expected = bytes_of(root_ / (name + " whole") / "model.safetensors");
    for (const std::int64_t stop : {0, 2, 4, 10}) {
      const std::string cut = fmt::format("{} {}", name, stop);
      if (rounding == Recipe::Rounding::nearest && stop == 10) continue;  // ends earlier
      EXPECT_THROW(quantize(cut, recipe, false, stop), Stopped) << stop;
      EXPECT_FALSE(fs::exists(root_ / cut));
      quantize(cut, recipe, true);
      EXPECT_TRUE(bytes_of(root_ / cut / "model.safetensors") == expected) << cut;
      EXPECT_FALSE(fs::exists(root_ / (cut + ".partial")));
    }
  }
}

// Samples that are kept in memory make what those in files make, and a resumed run finds its way to its layer
// through those that are finished.
TEST_P(PipelineTest, SamplesInMemoryMakeTheSameFiles) {
  constexpr std::int64_t kPlenty = std::int64_t{8} << 30;
  for (const auto rounding : {Recipe::Rounding::nearest, Recipe::Rounding::gptq})
    for (const auto scaling : {Recipe::Scaling::none, Recipe::Scaling::rule}) {
      Recipe recipe = awq_recipe(rounding);
      recipe.scaling = scaling;
      const std::string name = scaling_name(scaling) + rounding_name(rounding);
      device_bytes_ = 0;
      quantize(name + " in files", recipe);
      const std::string expected = bytes_of(root_ / (name + " in files") / "model.safetensors");
      device_bytes_ = kPlenty;
      quantize(name + " in memory", recipe);
      EXPECT_TRUE(bytes_of(root_ / (name + " in memory") / "model.safetensors") == expected) << name;
      // In the second layer: of 3 samples a layer, or of 3 x 6.
      EXPECT_THROW(quantize(name + " cut", recipe, false, rounding == Recipe::Rounding::gptq ? 25 : 5),
                   Stopped);
      EXPECT_TRUE(fs::exists(root_ / (name + " cut.partial") / "layer-00000"));
      EXPECT_FALSE(fs::exists(root_ / (name + " cut.partial") / "full-00001.bf16"));
      quantize(name + " cut", recipe, true);
      EXPECT_TRUE(bytes_of(root_ / (name + " cut") / "model.safetensors") == expected) << name << ", resumed";
    }
}

// With samples in memory before the cut and in files behind it.
TEST_P(PipelineTest, AResumedRunNeedsNoFilesOfSamples) {
  const Recipe recipe = awq_recipe(Recipe::Rounding::gptq);
  quantize("whole", recipe);
  device_bytes_ = std::int64_t{8} << 30;
  EXPECT_THROW(quantize("cut", recipe, false, 25), Stopped);
  device_bytes_ = 0;
  quantize("cut", recipe, true);
  EXPECT_TRUE(bytes_of(root_ / "cut" / "model.safetensors") ==
              bytes_of(root_ / "whole" / "model.safetensors"));
}

TEST_P(PipelineTest, TooLittleMemoryIsSaidBeforeAnyWork) {
  device_bytes_ = 1000;
  try {
    quantize("small", awq_recipe(Recipe::Rounding::nearest));
    FAIL() << "it was enough";
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("of the card's memory"), std::string::npos) << e.what();
  }
}

TEST_P(PipelineTest, WithoutDataTheWeightsErrorIsReported) {
  samples_ = {};
  Recipe recipe = awq_recipe(Recipe::Rounding::nearest);
  recipe.scaling = Recipe::Scaling::none;
  for (const LayerReport& report : quantize("plain", recipe))
    for (const LinearReport& linear : report.linears) {
      EXPECT_GT(linear.relative_error, 0.01) << linear.name;
      EXPECT_LT(linear.relative_error, 0.1) << linear.name;
    }
}

TEST_P(PipelineTest, StatisticsAloneLeaveTheWeights) {
  Recipe recipe;
  recipe.scaling = Recipe::Scaling::none;
  recipe.rounding = Recipe::Rounding::nothing;
  WorkFolder work(root_ / "statistics", {}, false);
  quantize_layers(cpu_.ctx, model_.source(), recipe, samples_, work, [](const PipelineProgress&) {});
  const fs::path result = work.make_result_folder();
  write_statistics_folder(work, result);
  EXPECT_TRUE(fs::exists(result / "activation_statistics.safetensors"));
  const Checkpoint layer(work.layer_folder(0));
  for (const std::string& name : layer.names()) {
    EXPECT_TRUE(name.ends_with(".input_abs_max") || name.ends_with(".input_abs_mean")) << name;
    EXPECT_GT(*layer.get(name).as<float>(), 0) << name;
  }
}

INSTANTIATE_TEST_SUITE_P(Layouts, PipelineTest, ::testing::Values(Layout::llama, Layout::internlm2));

}  // namespace
}  // namespace lmdeploy::testing
