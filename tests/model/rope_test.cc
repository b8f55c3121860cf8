// Frequencies of known models; the expected values are transformers 5.17's, computed in float.
#include "model/rope.h"

#include <gtest/gtest.h>

#include <cmath>
#include <utility>

#include "base/error.h"

namespace lmdeploy {
namespace {

using Values = std::vector<std::pair<std::size_t, double>>;  // index, inv_freq

void expect_frequencies(const Rope& rope, const Values& values) {
  ASSERT_EQ(rope.inv_freq.size(), 64U);
  for (const auto& [i, value] : values)
    EXPECT_NEAR(double{rope.inv_freq[i]} / value, 1, 3e-7) << "inv_freq[" << i << "]";
}

RopeConfig config(const std::string& type, double theta, double factor) {
  RopeConfig result;
  result.rope_type = type;
  result.rope_theta = theta;
  result.factor = factor;
  return result;
}

TEST(Rope, Default) {
  const Rope rope = make_rope(config("default", 1e6, 1), 128, 32768, 32768);
  expect_frequencies(rope, {{0, 1}, {1, 0.805842221}, {32, 0.001}, {63, 1.24093776e-06}});
  EXPECT_EQ(rope.scale, 1);
}

TEST(Rope, Linear) {
  expect_frequencies(make_rope(config("linear", 1e4, 4), 128, 32768, 0),
                     {{0, 0.25}, {1, 0.216491088}, {32, 0.0025}, {63, 2.88695483e-05}});
}

TEST(Rope, DynamicChangesNothingWithinTheContext) {
  const Rope plain = make_rope(config("default", 1e6, 1), 128, 32768, 0);
  for (const std::int64_t session_len : {0, 1000, 32768})
    EXPECT_EQ(make_rope(config("dynamic", 1e6, 2), 128, 32768, session_len).inv_freq, plain.inv_freq);
}

TEST(Rope, DynamicBeyondTheContextTakesItsBaseFromTheSession) {
  expect_frequencies(make_rope(config("dynamic", 1e6, 2), 128, 32768, 65536),
                     {{0, 1}, {1, 0.791911483}, {32, 0.000572338118}, {63, 4.13645921e-07}});
}

TEST(Rope, Llama31) {
  RopeConfig llama = config("llama3", 500000, 8);
  llama.low_freq_factor = 1;
  llama.high_freq_factor = 4;
  llama.original_max_position_embeddings = 8192;
  expect_frequencies(make_rope(llama, 128, 131072, 0), {{0, 1},
                                                        {1, 0.814617217},
                                                        {28, 0.00321144611},
                                                        {30, 0.00137189368},
                                                        {32, 0.000524846022},
                                                        {40, 3.42810235e-05},
                                                        {63, 3.06892588e-07}});
  llama.high_freq_factor = 1;
  EXPECT_THROW(make_rope(llama, 128, 131072, 0), Error);
}

TEST(Rope, YarnOfQwen25) {
  RopeConfig yarn = config("yarn", 1e6, 4);
  yarn.original_max_position_embeddings = 32768;
  const Rope rope = make_rope(yarn, 128, 131072, 0);
  expect_frequencies(rope, {{0, 1},
                            {20, 0.0133352149},
                            {28, 0.00184827659},
                            {30, 0.00106436096},
                            {32, 0.000602941145},
                            {40, 4.44569851e-05},
                            {63, 3.10234441e-07}});
  EXPECT_FLOAT_EQ(rope.scale, 1.138629436111989F);
}

TEST(Rope, YarnAttentionFactor) {
  RopeConfig yarn = config("yarn", 1e6, 4);
  yarn.mscale = 1;
  yarn.mscale_all_dim = 1;
  EXPECT_EQ(make_rope(yarn, 128, 32768, 0).scale, 1);  // DeepSeek's way of switching it off
  yarn.attention_factor = 1.5;
  EXPECT_EQ(make_rope(yarn, 128, 32768, 0).scale, 1.5F);
}

TEST(Rope, RefusesWhatItDoesNotKnow) {
  EXPECT_THROW(make_rope(config("longrope", 1e4, 1), 128, 4096, 0), Error);
  EXPECT_THROW(make_rope(config("default", 1e4, 1), 63, 4096, 0), Error);
  EXPECT_THROW(make_rope(config("dynamic", 1e4, 2), 2, 4096, 0), Error);
}

}  // namespace
}  // namespace lmdeploy
