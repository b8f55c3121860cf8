#pragma once
// The table of one instruction set, made of the kernels compiled for it. Include after a simd_*.h.
#include "ops/cpu/row_kernels.h"
// row_kernels.h first: attention walks rows too.
#include "ops/cpu/attention_kernel.h"
#include "ops/cpu/kv_row_kernels.h"
#include "ops/cpu/roof_kernels.h"

namespace lmdeploy::ops::cpu {
namespace {

constexpr Kernels make_kernels() {
  Kernels k{};
  k.bf16_dot = kBf16Dot;
  const auto for_type = [&]<class T>(int i, T) {
    k.matmul[i] = multiply<T>;
    k.attention[quant_idx(0)][i] = attend<FloatBlock<T>>;
    k.attention[quant_idx(8)][i] = attend<QuantizedBlock<LeftOf<T>, 8>>;
    k.attention[quant_idx(4)][i] = attend<QuantizedBlock<LeftOf<T>, 4>>;
    k.finish_attention[i] = finish_attention<T>;
    k.rms_norm[i] = rms_norm<T>;
    k.silu_mul[i] = silu_mul<T>;
    k.cast[i][dtype_idx(DType::f32)] = cast<T, float>;
    k.cast[i][dtype_idx(DType::bf16)] = cast<T, bf16_t>;
    k.cast[i][dtype_idx(DType::f16)] = cast<T, f16_t>;
  };
  for_type(dtype_idx(DType::f32), float{});
  for_type(dtype_idx(DType::bf16), bf16_t{});
  for_type(dtype_idx(DType::f16), f16_t{});
  k.merge_attention = merge_attention;
  k.rope = rope;
  k.rotate_head = rotate_head;
  k.quantize_row = quantize_row;
  k.max = max;
  k.sum_exp = sum_exp;
  k.exp = exp_to;
  k.read = read;
  k.multiply_adds = multiply_adds;
  return k;
}

}  // namespace
}  // namespace lmdeploy::ops::cpu
