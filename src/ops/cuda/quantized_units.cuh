#pragma once
// Units of a quantised matrix: from memory to registers, and there against the inputs of 8 or more tokens.
//
// A half byte q is never converted: as the upper bits of a mantissa under the exponent of 16 it is the float
// 16 + q, and the upper half of a byte under that of 256 is 256 + 16 q. With c = 16 or 272 in all, a slot of
// inputs gives
//   sum_k (q_k - zero) x_k = sum_k (c + q_k) x_k - (c + zero) sum_k x_k,
// where every product is exact and all sums are f32. Per 32 bits of memory that is 4 rotations and 4 logic
// operations.
//
// E4M3 becomes what it is, exactly, and meets x without a zero: 2 masks, 2 shifts, 2 multiplications and 3
// other operations per 32 bits, and half as many products as integers of 8 bits.
#include <cuda_fp16.h>

#include "ops/cuda/mma_tiles.cuh"
#include "ops/cuda/quantized_tiles.h"

namespace lmdeploy::ops::cuda {

// Scale: what holds the scales, float, __half or __nv_bfloat16.
template <int kBitsIn, int kSlotAtomsIn, class ScaleIn, WeightCode kCodeIn = WeightCode::integer>
struct UnitShape {
  using Scale = ScaleIn;
  static constexpr int kBits = kBitsIn;
  static constexpr bool kIntegers = kCodeIn == WeightCode::integer;
  static constexpr int kPlanes = kIntegers ? kBits / 4 : 1;  // products with x: of half bytes, or of floats
  static constexpr int kSlotAtoms = kSlotAtomsIn;
  static constexpr int kAtoms = unit_atoms(kBits, kSlotAtoms);
  static constexpr int kInputs = kAtoms * static_cast<int>(kAtomInputs);
  static constexpr int kSlots = kAtoms / kSlotAtoms;
  static constexpr int kChunks = kAtoms * kBits / 8;
};

// Calls f with a value of the type of x and the UnitShape that go with a matrix.
template <class F>
void with_unit_shape(const QuantizedLayout& layout, const F& f) {
  const auto with_scale = [&](auto x) {
    with_float_type(layout.scale_dtype, [&](auto scale) {
      using Scale = decltype(scale);
      const bool long_slots = slot_atoms(layout) == kLongSlotAtoms;
      if (layout.code == WeightCode::e4m3 && long_slots)
        return f(x, UnitShape<8, kLongSlotAtoms, Scale, WeightCode::e4m3>{});
      if (layout.code == WeightCode::e4m3)
        return f(x, UnitShape<8, kShortSlotAtoms, Scale, WeightCode::e4m3>{});
      if (layout.bits == 4 && long_slots) return f(x, UnitShape<4, kLongSlotAtoms, Scale>{});
      if (layout.bits == 4) return f(x, UnitShape<4, kShortSlotAtoms, Scale>{});
      if (long_slots) return f(x, UnitShape<8, kLongSlotAtoms, Scale>{});
      f(x, UnitShape<8, kShortSlotAtoms, Scale>{});
    });
  };
  if (layout.dtype == DType::f16) return with_scale(__half{});
  with_scale(__nv_bfloat16{});
}

// Of outputs g and g + 8, as they are stored: what is done to a value that was just asked for waits for it.
template <class Scale>
using StoredScales = std::conditional_t<sizeof(Scale) == 4, uint2, unsigned>;

template <class Shape>
struct Unit {
  uint4 words[Shape::kChunks];
  StoredScales<typename Shape::Scale> scales[Shape::kSlots];
  std::uint32_t zeros[Shape::kSlots];  // u8 of both, of integers
};

template <class Scale>
__device__ float2 scales_of(const StoredScales<Scale>& stored) {
  if constexpr (sizeof(Scale) == 4) return {__uint_as_float(stored.x), __uint_as_float(stored.y)};
  if constexpr (std::is_same_v<Scale, __nv_bfloat16>)
    return {__uint_as_float(stored << 16), __uint_as_float(stored & 0xffff0000U)};
  if constexpr (std::is_same_v<Scale, __half>)
    return __half22float2(*reinterpret_cast<const __half2*>(&stored));
}

template <class Shape>
__device__ std::uint32_t group_of_slot(const QuantizedTiles& w, std::uint32_t slot) {
  const std::uint32_t group = __umulhi(2 * slot + 1, w.half_slots_per_group_inverse);
  // Behind the last group there may be half a chunk of zeros.
  return Shape::kSlots > 1 ? min(group, w.num_groups - 1) : group;
}

template <class Shape>
__device__ void fetch_unit(Unit<Shape>& unit, const QuantizedTiles& w, std::uint32_t tile,
                           std::uint32_t unit_idx, std::uint32_t lane) {
  const std::uint32_t first = (tile * w.num_units + unit_idx) * (Shape::kChunks * 32) + lane;
  const uint4* words = static_cast<const uint4*>(w.words) + first;
#pragma unroll
  for (int i = 0; i < Shape::kChunks; i++) unit.words[i] = load_once(words + i * 32);
#pragma unroll
  for (int i = 0; i < Shape::kSlots; i++) {
    const std::uint32_t group = group_of_slot<Shape>(w, unit_idx * Shape::kSlots + i);
    const std::uint32_t at = (tile * w.num_groups + group) * 8 + lane / 4;
    unit.scales[i] = __ldg(static_cast<const StoredScales<typename Shape::Scale>*>(w.scales) + at);
    if constexpr (Shape::kIntegers) unit.zeros[i] = __ldg(static_cast<const unsigned short*>(w.zeros) + at);
  }
}

// offset + the byte kByte of `zeros`: 2^23 + a byte is what it is as the lowest bits of a mantissa.
template <int kByte>
__device__ float offset_zero(std::uint32_t zeros, float offset) {
  return __uint_as_float(__byte_perm(zeros, 0x4b000000U, 0x7650 + kByte)) - (8388608.0F - offset);
}

// The pair of inputs 2 kPair, 2 kPair + 1 of a word as floats.
template <class T, int kPair, bool kUpperHalves>
__device__ std::uint32_t pair_of_word(std::uint32_t word) {
  constexpr bool kHalf = std::is_same_v<T, __half>;
  constexpr std::uint32_t kMask = kHalf ? 0x000f000fU << 6 : 0x000f000fU << 3;
  constexpr std::uint32_t k16 = kHalf ? 0x4c004c00U : 0x41804180U, k256 = kHalf ? 0x5c005c00U : 0x43804380U;
  const std::uint32_t rotated = kPair == 0 ? word : __funnelshift_r(word, word, 4 * kPair);
  // One instruction; the compiler would make two of it.
  std::uint32_t pair;
  asm("lop3.b32 %0, %1, %2, %3, 0xea;"
      : "=r"(pair)
      : "r"(rotated), "r"(kMask), "n"(kUpperHalves ? k256 : k16));
  return pair;
}

// a of an atom's two instructions: lower and upper are the words of outputs g and g + 8.
template <class T, bool kUpperHalves>
__device__ void unpack(std::uint32_t lower, std::uint32_t upper, std::uint32_t (&a)[2][4]) {
  a[0][0] = pair_of_word<T, 0, kUpperHalves>(lower);
  a[0][1] = pair_of_word<T, 0, kUpperHalves>(upper);
  a[0][2] = pair_of_word<T, 1, kUpperHalves>(lower);
  a[0][3] = pair_of_word<T, 1, kUpperHalves>(upper);
  a[1][0] = pair_of_word<T, 2, kUpperHalves>(lower);
  a[1][1] = pair_of_word<T, 2, kUpperHalves>(upper);
  a[1][2] = pair_of_word<T, 3, kUpperHalves>(lower);
  a[1][3] = pair_of_word<T, 3, kUpperHalves>(upper);
}

// A pair of E4M3 in the upper bytes of a word's halves as floats: exponent and mantissa in the places that T
// has for them, times the power of two by which the biases differ. That is exact, and right for subnormals.
template <class T>
__device__ std::uint32_t pair_of_e4m3(std::uint32_t word) {
  constexpr bool kHalf = std::is_same_v<T, __half>;
  const std::uint32_t small = (word & 0x7f007f00U) >> (kHalf ? 1 : 4) | (word & 0x80008000U);
  std::uint32_t pair;
  if constexpr (kHalf)
    asm("fma.rn.f16x2 %0, %1, %2, %3;" : "=r"(pair) : "r"(small), "r"(0x5c005c00U), "r"(0x80008000U));
  else
    asm("fma.rn.bf16x2 %0, %1, %2, %3;" : "=r"(pair) : "r"(small), "r"(0x7b807b80U), "r"(0x80008000U));
  return pair;
}

// As unpack: words of outputs g and g + 8, the first four inputs of each and the last.
template <class T>
__device__ void unpack_e4m3(const uint4& words, std::uint32_t (&a)[2][4]) {
  a[0][0] = pair_of_e4m3<T>(words.x);
  a[0][1] = pair_of_e4m3<T>(words.z);
  a[0][2] = pair_of_e4m3<T>(words.x << 8);
  a[0][3] = pair_of_e4m3<T>(words.z << 8);
  a[1][0] = pair_of_e4m3<T>(words.y);
  a[1][1] = pair_of_e4m3<T>(words.w);
  a[1][2] = pair_of_e4m3<T>(words.y << 8);
  a[1][3] = pair_of_e4m3<T>(words.w << 8);
}

template <class T, class Shape>
__device__ void unpack_atom(const Unit<Shape>& unit, int atom, std::uint32_t (&a)[Shape::kPlanes][2][4]) {
  if constexpr (!Shape::kIntegers) {
    unpack_e4m3<T>(unit.words[atom], a[0]);
  } else if constexpr (Shape::kBits == 4) {
    const uint4& words = unit.words[atom / 2];
    unpack<T, false>(atom % 2 == 0 ? words.x : words.z, atom % 2 == 0 ? words.y : words.w, a[0]);
  } else {
    const uint4& words = unit.words[atom];
    unpack<T, false>(words.x, words.z, a[0]);
    unpack<T, true>(words.y, words.w, a[1]);
  }
}

// What one lane needs of the inputs in shared memory: where its eight of the unit's first 32 are, for each
// tile of tokens, and the sums of its two tokens.
template <class T, int kTokenTiles>
struct UnitInputs {
  const T* x[kTokenTiles];
  const float* sums;  // [num_slots][sums_stride], of token 2t of the first tile
  int sums_stride;
};

template <class T, class Shape, int kRowTiles, int kTokenTiles>
__device__ void multiply_unit(const Unit<Shape> (&units)[kRowTiles], int unit_idx,
                              const UnitInputs<T, kTokenTiles>& inputs,
                              float (&out)[kRowTiles][kTokenTiles][4]) {
  // One tile alone would wait for each sum before the next: its instructions take turns on two.
  constexpr int kTurns = kRowTiles * kTokenTiles == 1 ? 2 : 1;
#pragma unroll
  for (int slot = 0; slot < Shape::kSlots; slot++) {
    float sums[kTurns][kRowTiles][kTokenTiles][4] = {};
#pragma unroll
    for (int i = 0; i < Shape::kSlotAtoms; i++) {
      const int atom = slot * Shape::kSlotAtoms + i;
      std::uint32_t a[kRowTiles][Shape::kPlanes][2][4];
#pragma unroll
      for (int r = 0; r < kRowTiles; r++) unpack_atom<T>(units[r], atom, a[r]);
#pragma unroll
      for (int j = 0; j < kTokenTiles; j++) {
        const uint4 b = *reinterpret_cast<const uint4*>(inputs.x[j] + unit_idx * Shape::kInputs + atom * 32);
#pragma unroll
        for (int r = 0; r < kRowTiles; r++)
#pragma unroll
          for (int plane = 0; plane < Shape::kPlanes; plane++) {
            mma<T>(sums[0][r][j], a[r][plane][0], b.x, b.y);
            mma<T>(sums[kTurns - 1][r][j], a[r][plane][1], b.z, b.w);
          }
      }
    }
    constexpr float kOffset = Shape::kBits == 4 ? 16 : 272;
    float2 scales[kRowTiles], zeros[kRowTiles];
#pragma unroll
    for (int r = 0; r < kRowTiles; r++) {
      scales[r] = scales_of<typename Shape::Scale>(units[r].scales[slot]);
      if constexpr (Shape::kIntegers)
        zeros[r] = {offset_zero<0>(units[r].zeros[slot], kOffset),
                    offset_zero<1>(units[r].zeros[slot], kOffset)};
    }
#pragma unroll
    for (int j = 0; j < kTokenTiles; j++) {
      float2 x_sums{};
      if constexpr (Shape::kIntegers)
        x_sums = *reinterpret_cast<const float2*>(
            inputs.sums + (unit_idx * Shape::kSlots + slot) * inputs.sums_stride + j * kTileTokens);
#pragma unroll
      for (int r = 0; r < kRowTiles; r++)
#pragma unroll
        for (int i = 0; i < 4; i++) {
          float sum = sums[0][r][j][i];
          if constexpr (kTurns == 2) sum += sums[1][r][j][i];
          if constexpr (Shape::kIntegers)
            sum = fmaf(i < 2 ? -zeros[r].x : -zeros[r].y, i % 2 == 0 ? x_sums.x : x_sums.y, sum);
          out[r][j][i] = fmaf(i < 2 ? scales[r].x : scales[r].y, sum, out[r][j][i]);
        }
    }
  }
}

}  // namespace lmdeploy::ops::cuda
