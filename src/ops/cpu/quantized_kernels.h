#pragma once
// The serial kernels of one instruction set for quantised matrices. See kernels.h for how they are compiled.
#include "ops/cpu/kernels.h"

namespace lmdeploy::ops::cpu {

// Sums of this many products of int8 and u8 stay below 2^24: a float holds them exactly.
inline constexpr std::int64_t kMaxSpanLen = 512;

// The byte of a word that holds input i and, with 4 bits, input 4 + i. Inputs 0 and 1 lie in different
// halves: a mask and one table look-up make a pair of bf16 of them.
inline constexpr int kInputByte[4] = {0, 2, 1, 3};

// y[r][c] = (accumulate ? y[r][c] : 0) + bias[c] + sum over spans, in their order, of the span's dot product
// scaled. See quantized_layout.h for spans and w.
struct QuantizedMatmul {
  const void* x = nullptr;          // [num_rows, num_spans * span_len]: see QuantizedKernels::matmul
  std::int64_t x_stride = 0;        // elements
  const float* x_scales = nullptr;  // [num_rows, num_spans], where x is int8
  const float* x_sums = nullptr;    // [num_rows, num_spans]: of the integers
  const char* w = nullptr;
  DType scale_dtype = DType::f32;
  std::int64_t span_len = 0;
  std::int64_t num_spans = 0;
  std::int64_t words_bytes = 0;  // of a span
  std::int64_t span_bytes = 0;
  std::int64_t zeros_bytes = 0;  // of a span, at its end
  float* y = nullptr;            // [num_rows, ...]
  std::int64_t y_stride = 0;
  std::int64_t num_rows = 0;
  std::int64_t first_column = 0;  // a multiple of kBlockColumns
  std::int64_t end_column = 0;
  const float* bias = nullptr;  // [end_column] or none
  bool accumulate = false;
  std::int64_t fetch_distance = 0;  // bytes that the weights are read ahead
  float* totals = nullptr;          // scratch [num_rows, kBlockColumns], aligned to 64 bytes like panel
  void* panel = nullptr;            // scratch [span_len, kBlockColumns] of x's type
};

// Index of integers of 4 and 8 bits in the tables below, and of floats of 8.
constexpr int bits_idx(std::int32_t bits) {
  return bits / 8;
}
inline constexpr int kE4m3Idx = 2;
inline constexpr int kNumCodes = 3;

struct QuantizedKernels {
  // x in floats: f32, or bf16 where the matrix is of bf16 and Kernels::bf16_dot.
  void (*matmul[kNumFloatTypes][kNumCodes])(const QuantizedMatmul&);  // [dtype of the matrix][code]
  // x in int8, each four inputs of a word in the order of their bytes.
  void (*int8_matmul[2])(const QuantizedMatmul&);  // [bits]
  // int8_matmul reads x, but nothing more, up to the next multiple of so many rows.
  std::int64_t int8_row_unit = 1;

  // The largest |x|; NaN if there is an infinity or NaN.
  float (*largest_magnitude[kNumFloatTypes])(const void* x, std::int64_t count);
  // y = x * inverse_scale to the nearest, ties to even, as int8_matmul wants it; returns the sum. `count` is
  // rounded up to a multiple of 4 in y, with zeros.
  float (*round_to_int8[kNumFloatTypes])(const void* x, std::int64_t count, float inverse_scale,
                                         std::int8_t* y);

  double (*int8_multiply_adds)(std::int64_t num_rounds);  // from registers; returns how many it did
};

const QuantizedKernels& quantized_kernels(CpuIsa isa);

extern const QuantizedKernels kGenericQuantizedKernels;
extern const QuantizedKernels kAvx2QuantizedKernels;
extern const QuantizedKernels kAvx512QuantizedKernels;

// What AMX adds to AVX-512 (quantized_isa_amx.cc).
template <int kBits>
void int8_multiply_on_tiles(const QuantizedMatmul& m);
double int8_multiply_adds_on_tiles(std::int64_t num_rounds);

}  // namespace lmdeploy::ops::cpu
