// A quantised folder computes what its dequantised weights compute, in every format.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "model/model_session.h"
#include "model/twin_folders.h"

namespace lmdeploy::testing {
namespace {

using make_model::Layout;

constexpr double kExact = 2e-5;    // sums in another order
constexpr double kRounded = 0.05;  // of activations to int8

std::vector<Logits> logits_of(const std::filesystem::path& folder, const LoadOptions& options = {}) {
  Cpu cpu;
  const auto model = load_model(cpu.ctx, folder, options);
  ModelSession session(cpu.ctx, *model, 1, 128);
  return session.prefill(0, random_ids(40, model->info().vocab_size, 5), 32);
}

double difference(const TwinOptions& options, const LoadOptions& load = {}) {
  const TwinFolders twins(options);
  const std::vector<Logits> expected = logits_of(twins.floats()), actual = logits_of(twins.quantized(), load);
  double largest = 0;
  for (std::size_t i = 0; i < expected.size(); i++)
    largest = std::max(largest, relative_error(actual[i], expected[i]));
  return largest;
}

TwinOptions twin(const QuantizationConfig& config) {
  TwinOptions options;
  options.config = config;
  return options;
}

const QuantizationConfig kAwq{WeightFormat::awq, 4, 32, false, false};
const QuantizationConfig kGptq{WeightFormat::gptq, 4, 32, false, false};
// Blocks that end neither with a layer's outputs nor with its inputs.
const QuantizationConfig kFp8{WeightFormat::fp8, 8, 48, true, false, 40};

TEST(Quantized, EveryFormatComputesItsWeights) {
  for (const QuantizationConfig& config :
       {kAwq, QuantizationConfig{WeightFormat::awq, 4, -1, true, false}, kGptq,
        QuantizationConfig{WeightFormat::gptq, 8, 16, true, false},
        QuantizationConfig{WeightFormat::gptq_v2, 4, -1, false, false},
        QuantizationConfig{WeightFormat::pack_quantized, 4, 16, true, false},
        QuantizationConfig{WeightFormat::pack_quantized, 4, 32, false, false},
        QuantizationConfig{WeightFormat::pack_quantized, 8, -1, false, false},
        QuantizationConfig{WeightFormat::int_quantized, 8, -1, true, false},
        QuantizationConfig{WeightFormat::float_quantized, 8, -1, true, false},
        QuantizationConfig{WeightFormat::float_quantized, 8, 32, true, false, 16}, kFp8,
        QuantizationConfig{WeightFormat::fp8, 8, -1, true, false}})
    EXPECT_LT(difference(twin(config)), kExact) << config.to_string();
}

TEST(Quantized, FloatsRoundedAtLoadStayNear) {
  const TwinFolders twins(twin(kAwq));
  const std::vector<Logits> expected = logits_of(twins.floats());
  const std::vector<Logits> actual = logits_of(twins.floats(), {.rounding = QuantFormat{8, 32, DType::f32}});
  double largest = 0;
  for (std::size_t i = 0; i < expected.size(); i++)
    largest = std::max(largest, relative_error(actual[i], expected[i]));
  EXPECT_GT(largest, 0);
  EXPECT_LT(largest, kRounded);
}

TEST(Quantized, RowsOfInternlm2AreUngrouped) {
  for (const QuantizationConfig& config : {kAwq, kGptq, kFp8}) {
    TwinOptions options = twin(config);
    options.layout = Layout::internlm2;
    EXPECT_LT(difference(options), kExact) << config.to_string();
  }
}

TEST(Quantized, AnActOrderIsHonoured) {
  TwinOptions options = twin(kGptq);
  options.order_seed = [](const std::string&) { return 7U; };
  EXPECT_LT(difference(options), kExact);
  options.layout = Layout::internlm2;
  EXPECT_LT(difference(options), kExact);
}

// q, k and v are stacked; here each has an order of its own, or only some of them are quantised.
TEST(Quantized, StackedLayersMayBeHeldDifferently) {
  TwinOptions options = twin(kGptq);
  options.order_seed = [](const std::string& name) {
    return name.ends_with("k_proj") ? 0U : static_cast<unsigned>(name.size() % 7 + 1);
  };
  EXPECT_LT(difference(options), kExact);
  for (const QuantizationConfig& config : {kAwq, kFp8}) {
    options = twin(config);
    options.is_left_alone = [](const std::string& name) {
      return name.ends_with("k_proj") || name.ends_with("gate_proj") || name.ends_with("1.self_attn.o_proj");
    };
    EXPECT_LT(difference(options), kExact);
  }
}

// Activations are what they are, also where integers would meet them rounded.
TEST(Quantized, FloatsOfEightBitsAreAlwaysExact) {
  LoadOptions fast;
  fast.activations = ops::Activations::int8_per_group;
  EXPECT_LT(difference(twin(kFp8), fast), kExact);
}

// A number takes a byte, and a scale four: there are 64 outputs and no zeros in the tiny model's groups
// of 16.
TEST(Quantized, AFloatOfEightBitsTakesAByte) {
  const TwinFolders twins(twin({WeightFormat::fp8, 8, 16, true, false, 16}));
  Cpu cpu;
  const std::int64_t linear_weights = 2 * (64 * 64 * 2 + 32 * 64 * 2 + 3 * 64 * 96);
  const std::int64_t floats = load_model(cpu.ctx, twins.floats(), {})->info().weight_bytes;
  const std::int64_t quantized = load_model(cpu.ctx, twins.quantized(), {})->info().weight_bytes;
  EXPECT_EQ(floats - quantized, linear_weights * 3 - linear_weights / 16 * 4);
}

TEST(Quantized, RoundedActivationsAreNear) {
  LoadOptions fast;
  fast.activations = ops::Activations::int8_per_group;
  const double error = difference(twin(kAwq), fast);
  EXPECT_LT(error, kRounded);
  EXPECT_GT(error, kExact);  // otherwise it was not asked
  const double w8a8 = difference(twin({WeightFormat::int_quantized, 8, -1, true, true}));
  EXPECT_LT(w8a8, kRounded);
  EXPECT_GT(w8a8, kExact);
}

TEST(Quantized, AHeadMayBeRounded) {
  LoadOptions small_head;
  small_head.head_bits = 8;
  const double error = difference(twin(kAwq), small_head);
  EXPECT_LT(error, kRounded);
  EXPECT_GT(error, kExact);
}

TEST(Quantized, IntegersTakeLessMemory) {
  const TwinFolders twins(twin(kAwq));
  Cpu cpu;
  EXPECT_LT(load_model(cpu.ctx, twins.quantized(), {})->info().weight_bytes,
            load_model(cpu.ctx, twins.floats(), {})->info().weight_bytes);
}

}  // namespace
}  // namespace lmdeploy::testing
