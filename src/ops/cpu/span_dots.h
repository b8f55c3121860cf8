#pragma once
// The arithmetics in which a span of a quantised matrix is multiplied:
//   X, kPair   the type of x, and how many inputs one lane of an operand holds
//   operand    weights out of a word: inputs [input, input + kPair) of it
//   broadcast  the same inputs of x in every lane
//   add        one step of a lane's sum; kAdds of them may follow each other before `widen`, 0: any number
//   Row        how the sums of a span join the totals of one row
// Include after a simd_quantized_*.h.
#include <type_traits>

#include "ops/cpu/quantized_kernels.h"
#include "ops/cpu/simd_math.h"

namespace lmdeploy::ops::cpu {
namespace {

// What a word of weights holds.
template <int kBitsIn>
struct Int {
  static constexpr int kBits = kBitsIn;
};
struct E4m3 {
  static constexpr int kBits = 8;
};

// The byte of every lane that begins at bit `shift`, as E4M3. Its exponent and mantissa in a float's places,
// and the biases' difference added, are a number 2^-7 (1 + m / 8) where the exponent is 0 and m 2^-9 is
// meant: twice that less 2^-6, which is the smaller of the two only there. (Multiplied by 2^120 they would be
// right too, but processors take long for what begins as a subnormal float.)
inline Vec e4m3_to_float(VecInt word, int shift) {
  constexpr int kPlace = 20;
  const VecInt placed = shift < kPlace ? word << (kPlace - shift) : word >> (shift - kPlace);
  const Vec normal = reinterpret_cast<Vec>((placed & 0x07f00000) + (120 << 23));
  const Vec subnormal = multiply_add(normal, splat(2), splat(-0x1p-6F));
  const VecInt sign = (word << (24 - shift)) & static_cast<std::int32_t>(0x80000000);
  return reinterpret_cast<Vec>(reinterpret_cast<VecInt>(smaller(normal, subnormal)) | sign);
}

// In floats a span's sum needs its scale only: each q met x without its zero, if it has one.
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

  template <class Code>
  static Operand operand(VecInt word, int input, VecInt zero) {
    const int shift = 8 * kInputByte[input % 4] + Code::kBits * (input / 4);
    if constexpr (std::is_same_v<Code, E4m3>) return e4m3_to_float(word, shift);
    constexpr std::int32_t kMask = (1 << Code::kBits) - 1;
    return __builtin_convertvector(((word >> shift) & kMask) - zero, Vec);
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

  template <class>
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
