#pragma once
#include <algorithm>
#include <cstdint>
#include <span>

#include "quant/quantized_rows.h"

namespace lmdeploy {

struct RoundingOptions {
  QuantFormat format;
  bool symmetric = false;          // the zero is 2^(bits - 1)
  DType scale_dtype = DType::f16;  // of the file: f16, bf16 or f32
  std::int32_t min_zero = 0;       // 1 where the file stores zero - 1 and readers differ on what -1 means
};

// To an integer, ties to even, for |value| < 2^22: adding 1.5 * 2^23 leaves no bits for a fraction. The
// compiler makes vectors of this, but calls a function for std::nearbyint.
inline float round_half_even(float value) {
  constexpr float kMagic = 12582912.0F;
  return (value + kMagic) - kMagic;
}

// The values that the weights of one group can take: (code - zero) * scale, codes 0 .. max_code.
struct GroupGrid {
  float scale = 1;
  float zero = 0;  // a code
  float max_code = 15;

  // The nearest code, as a float.
  float code(float weight) const {
    return std::clamp(round_half_even(std::clamp(weight / scale, -max_code, max_code)) + zero, 0.0F,
                      max_code);
  }
  float value(float code) const { return (code - zero) * scale; }
};

// Clipping on trial: the shares of a group's range that its grid may span.
inline constexpr int kNumClips = 10;
constexpr float clip_share(int clip) {
  return 1 - 0.05F * static_cast<float>(clip);
}

constexpr float max_code(const QuantFormat& format) {
  return static_cast<float>((1 << format.bits) - 1);
}

// The grid from `low` to `high`, stretched to hold 0, with a scale that the file's dtype can hold. Throws
// Error where the range is not finite, or too wide for that dtype.
GroupGrid make_grid(float low, float high, const RoundingOptions& options);

// The grid from the smallest to the largest weight. Throws Error as make_grid does, and for a NaN.
GroupGrid fit_grid(std::span<const float> weights, const RoundingOptions& options);

}  // namespace lmdeploy
