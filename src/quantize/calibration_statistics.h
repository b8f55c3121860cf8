#pragma once
#include <cstdint>
#include <vector>

#include "tensor/ctx.h"
#include "tensor/tensor.h"

namespace lmdeploy {

// What the activations that a linear layer reads come to, channel by channel.
class CalibrationStatistics {
 public:
  explicit CalibrationStatistics(std::int64_t num_channels);

  // x: [m, num_channels] f32, bf16 or f16. What is not finite counts as such and nowhere else.
  void add(Ctx& ctx, const View& x);

  const std::vector<float>& abs_max() const noexcept { return abs_max_; }  // [num_channels]
  std::vector<float> abs_mean() const;                                     // [num_channels]
  std::int64_t num_rows() const noexcept { return num_rows_; }
  std::int64_t num_not_finite() const;     // elements
  std::int64_t num_zero_channels() const;  // that never held anything but 0

 private:
  template <class T>
  void add_channels(const View& x, std::int64_t begin, std::int64_t end);

  std::int64_t num_rows_ = 0;
  std::vector<float> abs_max_;
  std::vector<double> abs_sum_;
  std::vector<std::int64_t> not_finite_;
};

}  // namespace lmdeploy
