#include "quantize/block_runner.h"

#include <gtest/gtest.h>

#include <cstring>

#include "quantize/calibration_probe.h"
#include "quantize/samples_at_a_layer.h"

namespace lmdeploy::testing {
namespace {

class BlockRunnerTest : public ::testing::TestWithParam<LinearInput> {
 protected:
  std::int64_t k() const { return num_channels(model_.source().config, GetParam()); }

  Cpu cpu_;
  TinyModel model_{cpu_, Layout::llama};
  SamplesAtALayer samples_{cpu_, model_, 2, 600};  // more tokens than the layer computes at once
  BlockRunner runner_{cpu_.ctx, model_.source(), 0, samples_.shape()};
};

// What a layer's inputs are in the middle of a whole pass, chunk after chunk.
TEST_P(BlockRunnerTest, AnInputIsReadAsInAWholePass) {
  Tensor expected(host_allocator(), DType::bf16, {2 * 600, k()});
  std::int64_t num_seen = 0;
  const auto see = [&](LinearInput input, const View& x) {
    if (input == GetParam()) {
      ops::cast(cpu_.ctx, x, expected.view().rows(num_seen, x.dim(0)));
      num_seen += x.dim(0);
    }
    return true;
  };
  runner_.run(samples_.reader(), nullptr, see, [] {});
  ASSERT_EQ(num_seen, 2 * 600);

  const Tensor rows(host_allocator(), DType::bf16, {600, k()});
  for (const std::int64_t sample_idx : {1, 0}) {
    runner_.read_input(samples_.reader(), sample_idx, GetParam(), rows);
    EXPECT_EQ(std::memcmp(rows.view().data, expected.view().rows(sample_idx * 600, 600).data,
                          static_cast<std::size_t>(rows.view().bytes())),
              0);
  }
}

INSTANTIATE_TEST_SUITE_P(Inputs, BlockRunnerTest,
                         ::testing::Values(LinearInput::qkv, LinearInput::attention_output,
                                           LinearInput::gate_up, LinearInput::down));

}  // namespace
}  // namespace lmdeploy::testing
