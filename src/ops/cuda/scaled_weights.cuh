#pragma once
// Quantised weights as floats of x's type, each rounded once as dequantize_slice does it: sums of products
// with them go over groups without a halt. An integer minus its zero is exact in either type.
#include "ops/cuda/quantized_units.cuh"

namespace lmdeploy::ops::cuda {

// Of pairs of T. Rounded each by itself: the compiler must not make one fma of two of them.
template <class T>
__device__ std::uint32_t add_pairs(std::uint32_t a, std::uint32_t b) {
  std::uint32_t sum;
  if constexpr (std::is_same_v<T, __half>)
    asm("add.rn.f16x2 %0, %1, %2;" : "=r"(sum) : "r"(a), "r"(b));
  else
    asm("add.rn.bf16x2 %0, %1, %2;" : "=r"(sum) : "r"(a), "r"(b));
  return sum;
}
template <class T>
__device__ std::uint32_t multiply_pairs(std::uint32_t a, std::uint32_t b) {
  std::uint32_t product;
  if constexpr (std::is_same_v<T, __half>)
    asm("mul.rn.f16x2 %0, %1, %2;" : "=r"(product) : "r"(a), "r"(b));
  else
    asm("mul.rn.bf16x2 %0, %1, %2;" : "=r"(product) : "r"(a), "r"(b));
  return product;
}
template <class T>
__device__ std::uint32_t multiply_add_pairs(std::uint32_t a, std::uint32_t b, std::uint32_t c) {
  std::uint32_t sum;
  if constexpr (std::is_same_v<T, __half>)
    asm("fma.rn.f16x2 %0, %1, %2, %3;" : "=r"(sum) : "r"(a), "r"(b), "r"(c));
  else
    asm("fma.rn.bf16x2 %0, %1, %2, %3;" : "=r"(sum) : "r"(a), "r"(b), "r"(c));
  return sum;
}
template <class T>
__device__ float2 floats_of_pair(std::uint32_t pair) {
  if constexpr (std::is_same_v<T, __half>) return __half22float2(reinterpret_cast<const __half2&>(pair));
  return {__uint_as_float(pair << 16), __uint_as_float(pair & 0xffff0000U)};
}

// How numbers are multiplied by a scale, rounding once.
enum class Scaling {
  in_pairs,  // the scale is of T
  // T is bf16, the scale f16, whose 11 bits are 8 and at most 3 more: of numbers with up to 5 bits the
  // product with the latter is exact, and one fma adds the other.
  in_two_parts,
  in_f32
};

// Scales and negated zeros of one group, as a lane has them of outputs g and g + 8.
template <class T, class Shape>
class GroupScales {
  using Scale = typename Shape::Scale;
  static constexpr bool kFewBits = !Shape::kIntegers || Shape::kBits == 4;
  static constexpr Scaling kScaling = std::is_same_v<T, Scale>                    ? Scaling::in_pairs
                                      : std::is_same_v<Scale, __half> && kFewBits ? Scaling::in_two_parts
                                                                                  : Scaling::in_f32;

 public:
  // The unit is one group's.
  __device__ explicit GroupScales(const Unit<Shape>& unit) {
    static_assert(Shape::kSlots == 1);
    const float2 both = scales_of<Scale>(unit.scales[0]);
    set_scale(0, both.x);
    set_scale(1, both.y);
    if constexpr (Shape::kIntegers) set_zeros(unit.zeros[0]);
  }

  // Weights of an atom, as unpack_atom gives numbers: a of an atom's two instructions.
  __device__ void scaled_atom(const Unit<Shape>& unit, int atom, std::uint32_t (&a)[2][4]) const {
    std::uint32_t planes[Shape::kPlanes][2][4];
    unpack_atom<T>(unit, atom, planes);
#pragma unroll
    for (int step = 0; step < 2; step++)
#pragma unroll
      for (int i = 0; i < 4; i++) {
        std::uint32_t pair = planes[0][step][i];
        if constexpr (Shape::kIntegers) pair = add_pairs<T>(pair, zeros_[0][i % 2]);
        if constexpr (Shape::kPlanes == 2)
          pair = add_pairs<T>(pair, add_pairs<T>(planes[1][step][i], zeros_[1][i % 2]));
        a[step][i] = scaled(pair, i % 2);
      }
  }

 private:
  __device__ void set_scale(int row, float scale) {
    if constexpr (kScaling == Scaling::in_f32) {
      scale_[row] = __float_as_uint(scale);
    } else {
      scale_[row] = pack_pair<T>(scale, scale);
      if constexpr (kScaling == Scaling::in_two_parts) {
        const float rest = scale - floats_of_pair<T>(scale_[row]).x;
        rest_[row] = pack_pair<T>(rest, rest);
      }
    }
  }
  __device__ void set_zeros(std::uint32_t zeros) {
    constexpr std::uint32_t kLowHalves = Shape::kBits == 4 ? 0xffffU : 0x0f0fU;
    set_zeros(0, zeros & kLowHalves, 16);
    if constexpr (Shape::kPlanes == 2) set_zeros(1, zeros & 0xf0f0U, 256);
  }
  __device__ void set_zeros(int plane, std::uint32_t zeros, float offset) {
    const float first = -offset_zero<0>(zeros, offset), second = -offset_zero<1>(zeros, offset);
    zeros_[plane][0] = pack_pair<T>(first, first);
    zeros_[plane][1] = pack_pair<T>(second, second);
  }

  __device__ std::uint32_t scaled(std::uint32_t pair, int row) const {
    if constexpr (kScaling == Scaling::in_pairs) return multiply_pairs<T>(pair, scale_[row]);
    if constexpr (kScaling == Scaling::in_two_parts)
      return multiply_add_pairs<T>(pair, scale_[row], multiply_pairs<T>(pair, rest_[row]));
    const float2 both = floats_of_pair<T>(pair);
    const float scale = __uint_as_float(scale_[row]);
    return pack_pair<T>(both.x * scale, both.y * scale);
  }

  std::uint32_t scale_[2];  // pairs of T, or f32
  std::uint32_t rest_[2];
  std::uint32_t zeros_[Shape::kPlanes][2];  // pairs of T
};

}  // namespace lmdeploy::ops::cuda
