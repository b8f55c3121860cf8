#pragma once
// The arithmetics in which a span of a quantised matrix is multiplied:
//   X, kPair   the type of x, and how many inputs one lane of an operand holds
//   operand    weights out of a word: inputs [input, input + kPair) of it
//   broadcast  the same inputs of x in every lane
//   add        one step of a lane's sum; kAdds of them may follow each other before `widen`, 0: any number
//   Row        how the sums of a span join the totals of one row
// Include after a simd_quantized_*.h.
#include "ops/cpu/quantized_kernels.h"
#include "ops/cpu/simd_math.h"

namespace lmdeploy::ops::cpu {
namespace {

template <int kBits>
inline constexpr std::int32_t kLowBits = (1 << kBits) - 1;

// In floats a span's sum needs its scale only: each q met x without its zero.
struct ScaledRow {
  Vec add(Vec total, Vec sum, Vec scale, VecInt /*zero*/) const { return multiply_add(scale, sum, total); }
};

struct F32Dots {
  using X = float;
  using Operand = Vec;
  using Sum = Vec;
  using Row = ScaledRow;
  static constexpr int kPair = 1, kAdds = 0;
  static constexpr int kTileRows = kMaxTileRows, kVectors = kTileVectors;

  template <int kBits>
  static Operand operand(VecInt word, int input, VecInt zero) {
    const int shift = 8 * kInputByte[input % 4] + kBits * (input / 4);
    return __builtin_convertvector(((word >> shift) & kLowBits<kBits>)-zero, Vec);
  }
  static Operand broadcast(const float* x) { return splat(*x); }
  static Sum add(Sum sum, Operand x, Operand w) { return multiply_add(x, w, sum); }
  static Sum widen(Sum sum) { return sum; }
  static Row row(const QuantizedMatmul& /*m*/, std::int64_t /*row*/, std::int64_t /*span*/) { return {}; }
};

// Pairs of bf16; bf16_dots.h, where the machine has dot products of them.
struct Bf16Dots;

// sum of sx * sw * (q - zero) * x = sx * sw * (sum of q * x - zero * sum of x). What the brackets hold is
// exact, see kMaxSpanLen.
struct Int8Row {
  Vec scale;      // of x
  Vec minus_sum;  // of x

  Vec add(Vec total, VecInt sum, Vec w_scale, VecInt zero) const {
    const Vec exact =
        multiply_add(minus_sum, __builtin_convertvector(zero, Vec), __builtin_convertvector(sum, Vec));
    return multiply_add(scale * w_scale, exact, total);
  }
  // The same of a sum of (q - zero) * x.
  Vec add(Vec total, VecInt sum, Vec w_scale) const {
    return multiply_add(scale * w_scale, __builtin_convertvector(sum, Vec), total);
  }
};

template <int kBits>
struct Int8Dots {
  using X = std::int8_t;
  using Operand = VecInt;
  using Sum = VecInt;
  using Row = Int8Row;
  static constexpr int kPair = 4, kAdds = kAddsAtOnce<kBits>;
  static constexpr int kTileRows = kIntTileRows, kVectors = kIntTileVectors;

  template <int>
  static Operand operand(VecInt word, int input, VecInt /*zero*/) {
    if constexpr (kBits == 8) return word;
    return (word >> input) & 0x0f0f0f0f;  // input 0 or 4, which begins at bit 4
  }
  static Operand broadcast(const std::int8_t* x) {
    std::int32_t quad;
    __builtin_memcpy(&quad, x, sizeof quad);
    return VecInt{} + quad;
  }
  static Sum add(Sum sum, Operand x, Operand w) { return add_quads<kBits>(sum, w, x); }
  static Sum widen(Sum sum) { return cpu::widen(sum); }
  static Row row(const QuantizedMatmul& m, std::int64_t row, std::int64_t span) {
    const std::int64_t i = row * m.num_spans + span;
    return {splat(m.x_scales[i]), splat(-m.x_sums[i])};
  }
};

}  // namespace
}  // namespace lmdeploy::ops::cpu
