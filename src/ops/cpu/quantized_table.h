#pragma once
// The table of one instruction set for quantised matrices. Include after a simd_quantized_*.h.
#include "ops/cpu/row_kernels.h"
// row_kernels.h first: rounding walks rows too.
#include "ops/cpu/int8_rounding.h"
#include "ops/cpu/quantized_matmul.h"
#include "ops/cpu/quantized_roof.h"

namespace lmdeploy::ops::cpu {
namespace {

template <class W>
using DotsOf = std::conditional_t<kBf16Dot && std::is_same_v<W, bf16_t>, Bf16Dots, F32Dots>;

constexpr QuantizedKernels make_quantized_kernels() {
  QuantizedKernels k{};
  const auto for_type = [&]<class T>(int i, T) {
    k.matmul[i][bits_idx(4)] = multiply_quantized<DotsOf<T>, Int<4>>;
    k.matmul[i][bits_idx(8)] = multiply_quantized<DotsOf<T>, Int<8>>;
    k.matmul[i][kE4m3Idx] = multiply_quantized<DotsOf<T>, E4m3>;
    k.largest_magnitude[i] = largest_magnitude<T>;
    k.round_to_int8[i] = round_to_int8<T>;
  };
  for_type(dtype_idx(DType::f32), float{});
  for_type(dtype_idx(DType::bf16), bf16_t{});
  for_type(dtype_idx(DType::f16), f16_t{});
  k.int8_matmul[bits_idx(4)] = multiply_quantized<Int8Dots<4>, Int<4>>;
  k.int8_matmul[bits_idx(8)] = multiply_quantized<Int8Dots<8>, Int<8>>;
  k.int8_multiply_adds = int8_multiply_adds;
  return k;
}

}  // namespace
}  // namespace lmdeploy::ops::cpu
