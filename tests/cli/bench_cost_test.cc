#include "cli/bench_cost.h"

#include <gtest/gtest.h>

namespace lmdeploy::cli {
namespace {

// internlm2_5-1_8b in bf16: its bytes per token and weight bytes are known from the specification.
HfConfig config() {
  HfConfig config;
  config.vocab_size = 92544;
  config.hidden_size = 2048;
  config.intermediate_size = 8192;
  config.num_hidden_layers = 24;
  config.num_attention_heads = 16;
  config.num_key_value_heads = 8;
  config.head_dim = 128;
  return config;
}

ModelInfo info() {
  ModelInfo info;
  info.num_layers = 24;
  info.kv_layout = {DType::bf16, 8, 128, 64};
  info.decode_read_bytes = 3'399'000'000;
  return info;
}

const ops::Roofs kRoofs{40e9, 1e12, 4e12};

TEST(BenchCost, DecodeReadsTheWeightsOnceAndEveryKey) {
  const BenchCost cost(config(), info(), kRoofs, false);
  EXPECT_DOUBLE_EQ(cost.decode_bytes(1, 0), 3.399e9);
  EXPECT_DOUBLE_EQ(cost.decode_bytes(1, 1000), 3.399e9 + 1000 * 98304.0);
  EXPECT_DOUBLE_EQ(cost.decode_bytes(8, 1000), 3.399e9 + 8 * 1000 * 98304.0);
  EXPECT_DOUBLE_EQ(cost.decode_seconds(1, 0), 3.399e9 / 40e9);
}

TEST(BenchCost, PrefillIsTwoFlopsAParameterPlusAttention) {
  const double layer = 2048 * (2048 + 2 * 1024) + 2048 * 2048 + 3 * 2048.0 * 8192;
  const double linear = 2 * 24 * layer * 512, head = 2 * 2048.0 * 92544;
  // q.k and p.v: 2 x 2 flops for each of 16 x 128 values, for 512 x 513 / 2 pairs, in 24 layers.
  const double attention = 24 * 4 * 2048.0 * 512 * 513 / 2;
  const BenchCost floats(config(), info(), kRoofs, false), int8(config(), info(), kRoofs, true);
  EXPECT_DOUBLE_EQ(floats.prefill_seconds(512), (linear + attention + head) / 1e12);
  EXPECT_DOUBLE_EQ(int8.prefill_seconds(512), linear / 4e12 + (attention + head) / 1e12);
}

TEST(BenchCost, ALargeBatchIsBoundByTheDotPeak) {
  const BenchCost cost(config(), info(), kRoofs, false);
  EXPECT_GT(cost.decode_seconds(256, 0), cost.decode_bytes(256, 0) / 40e9);
}

}  // namespace
}  // namespace lmdeploy::cli
