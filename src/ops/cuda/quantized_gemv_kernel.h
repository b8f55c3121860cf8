#pragma once
#include "ops/cuda/card_limits.h"
#include "ops/cuda/linear_output.h"
#include "ops/cuda/prologue_norm.h"
#include "ops/cuda/quantized_layout.h"

namespace lmdeploy::ops::cuda {

// x of bf16 or f16, as the matrix says; rows aligned to 16 bytes, with the matrix's groups filled up.
struct QuantizedInputs {
  const void* x = nullptr;  // [m, padded_k]
  std::int64_t stride = 0;
  int m = 0;
  PrologueNorm norm = {};  // of quantized_gemv, where no group has to be filled up
};

inline constexpr int kMaxGemvTokens = 8;

// Shared memory of a block; where a card has less, the product is quantized_gemm's. gated: n a multiple
// of 32.
std::size_t quantized_gemv_shared_bytes(const QuantizedLayout& layout, int m, bool is_gated);
cudaError_t launch_quantized_gemv(const QuantizedMatrixPointers& w, const QuantizedInputs& inputs,
                                  const LinearOutput& out, const CardLimits& card, cudaStream_t stream);

}  // namespace lmdeploy::ops::cuda
