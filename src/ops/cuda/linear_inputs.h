#pragma once
// What linear layers do with x before their kernels, for op files.
#include "ops/cuda/card_limits.h"
#include "ops/cuda/linear_inputs_kernel.h"
#include "ops/cuda/linear_output.h"
#include "ops/cuda/quantized_layout.h"
#include "tensor/ctx.h"

namespace lmdeploy::ops::cuda {

// Whether every row begins at a multiple of 16 bytes.
bool is_aligned(const View& x);

LinearInputs inputs_of(const View& x);
// x, or a copy of it in rows of whole 16 bytes, which lives as long as the caller's Workspace::Scope.
View aligned(Ctx& ctx, const View& x);
// x as the kernels of quantised matrices take it: aligned, with the groups filled up.
View padded(Ctx& ctx, const View& x, const QuantizedLayout& layout);
// x as int8 with a scale for each row, which the sums take: the integers in x's type, out.row_scales is set.
// Both live as long as the caller's Workspace::Scope.
View rounded_per_row(Ctx& ctx, const View& x, LinearOutput& out);
// x of bf16 or f16, rounded to int8 per group, in two parts whose products add up: [2m, k].
View split_rounded(Ctx& ctx, const View& x, std::int64_t group_size);

}  // namespace lmdeploy::ops::cuda
