#pragma once
// What Ctx::deterministic chooses: a row's result depends on the row alone, bit by bit, not on how many
// others are computed with it. Each op has one order of summation for all numbers of rows; those of ops that
// treat every row by itself (norms, rope, activations, storing, sampling) have one anyway.
#include "ops/cuda/attention_kernel.h"
#include "ops/cuda/linear_output.h"
#include "ops/ops.h"

namespace lmdeploy::ops::cuda {

// y = x W^T. 16-bit floats by fixed_gemm; integers by quantized_gemm, cut into the slices of its largest
// number of tokens whatever m is; f32, and what is not aligned for tensor cores, by the plain GEMV.
void deterministic_linear(Ctx& ctx, const View& x, const PackedMatrix& w, const LinearOutput& out);

// a: of a cache with fast kernels, without decode rows and splits. (The generic kernel treats every row by
// itself.)
void deterministic_attention(Ctx& ctx, const AttentionArguments& a, const AttentionBatch& batch);

}  // namespace lmdeploy::ops::cuda
