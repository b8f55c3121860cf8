#pragma once
#include <cstdint>
#include <vector>

#include "ops/ops.h"

namespace lmdeploy {

// What the activations that a linear layer reads come to, channel by channel. Gathered in memory of the
// device that computes them; whatever is asked of it waits for that.
class CalibrationStatistics {
 public:
  CalibrationStatistics(Ctx& ctx, std::int64_t num_channels);

  // x: [m, num_channels] f32, bf16 or f16. What is not finite counts as such and nowhere else.
  void add(const View& x);

  std::vector<float> abs_max() const;   // [num_channels]
  std::vector<float> abs_mean() const;  // [num_channels]
  std::int64_t num_rows() const noexcept { return num_rows_; }
  std::int64_t num_not_finite() const;     // elements
  std::int64_t num_zero_channels() const;  // that never held anything but 0

 private:
  Ctx& ctx_;
  std::int64_t num_rows_ = 0;
  Tensor abs_max_, abs_sum_, not_finite_;  // as ops::ChannelStatistics
};

}  // namespace lmdeploy
