#include <algorithm>

#include "ops/ops.h"
#include "quantize/input_drift.h"

namespace lmdeploy {
namespace {

// With H = N^T D^2 N (N: gains with ones on the diagonal, D: the diagonal that lies there), rows X of X H = T
// are found as Y N = T, then X N^T = Y D^-2; by blocks of places, as in gptq.cc.
constexpr std::int64_t kBlock = 128;
constexpr std::int64_t kRowsAtOnce = 1024;

// target -= solved w^T. w: [block, places solved], overwritten.
void subtract_product(Ctx& ctx, const View& solved, const View& w, const View& target) {
  if (solved.dim(1) == 0) return;
  ctx.pool->parallel_for(w.dim(0), [&](std::int64_t row, int) {
    for (std::int64_t i = 0; i < w.dim(1); i++) w.row<float>(row)[i] = -w.row<float>(row)[i];
  });
  ops::PackedMatrix packed = ops::make_packed_matrix(ctx, {DType::f32}, w.dim(0), w.dim(1));
  ops::pack_rows(ctx, w, packed, 0);
  ops::linear(ctx, solved, packed, target, {.bias = {}, .accumulate = true});
}

// The block from place `first` of Y N = work, where all places before it hold Y.
void solve_forward(Ctx& ctx, const View& gains, std::int64_t first, const View& work) {
  const Workspace::Scope scope(*ctx.workspace);
  const std::int64_t size = std::min(kBlock, work.dim(1) - first);
  const View block = work.columns(first, size);
  if (first > 0) {
    const View before = ctx.workspace->take(DType::f32, {size, first});
    ops::transpose(ctx, gains.rows(0, first).columns(first, size), before);
    subtract_product(ctx, work.columns(0, first), before, block);
  }
  ctx.pool->parallel_for(work.dim(0), [&](std::int64_t row, int) {
    float* values = block.row<float>(row);
    for (std::int64_t a = 0; a < size; a++)
      for (std::int64_t b = a + 1; b < size; b++)
        values[b] -= values[a] * gains.row<float>(first + a)[first + b];
  });
}

// The block from place `first` of X N^T = work, where all places behind it hold X.
void solve_backward(Ctx& ctx, const View& gains, std::int64_t first, const View& work) {
  const Workspace::Scope scope(*ctx.workspace);
  const std::int64_t k = work.dim(1), size = std::min(kBlock, k - first), end = first + size;
  const View block = work.columns(first, size);
  if (end < k) {
    const View behind = ctx.workspace->take(DType::f32, {size, k - end});
    ops::cast(ctx, gains.rows(first, size).columns(end, k - end), behind);
    subtract_product(ctx, work.columns(end, k - end), behind, block);
  }
  ctx.pool->parallel_for(work.dim(0), [&](std::int64_t row, int) {
    float* values = block.row<float>(row);
    for (std::int64_t a = size - 1; a >= 0; a--)
      for (std::int64_t b = a + 1; b < size; b++)
        values[a] -= values[b] * gains.row<float>(first + a)[first + b];
  });
}

void divide_by_diagonal(Ctx& ctx, const View& gains, const View& work) {
  ctx.pool->parallel_for(work.dim(0), [&](std::int64_t row, int) {
    float* values = work.row<float>(row);
    for (std::int64_t a = 0; a < work.dim(1); a++)
      values[a] /= gains.row<float>(a)[a] * gains.row<float>(a)[a];
  });
}

void correct_rows(Ctx& ctx, const View& weight, const ops::PackedMatrix& drift, const ErrorFeedback& feedback,
                  float share) {
  const Workspace::Scope scope(*ctx.workspace);
  const std::int64_t n = weight.dim(0), k = weight.dim(1);
  const View change = ctx.workspace->take(DType::f32, {n, k}), work = ctx.workspace->take(DType::f32, {n, k});
  const View& gains = feedback.gains.view();
  ops::linear(ctx, weight, drift, change);
  ctx.pool->parallel_for(n, [&](std::int64_t row, int) {
    float* to = work.row<float>(row);
    for (const std::int64_t input : feedback.inputs) *to++ = change.row<float>(row)[input];
  });
  for (std::int64_t first = 0; first < k; first += kBlock) solve_forward(ctx, gains, first, work);
  divide_by_diagonal(ctx, gains, work);
  for (std::int64_t first = (k - 1) / kBlock * kBlock; first >= 0; first -= kBlock)
    solve_backward(ctx, gains, first, work);
  ctx.pool->parallel_for(n, [&](std::int64_t row, int) {
    const float* from = work.row<float>(row);
    for (const std::int64_t input : feedback.inputs) weight.row<float>(row)[input] += share * *from++;
  });
}

}  // namespace

void correct_drift(Ctx& ctx, const View& weight, const View& drift, const ErrorFeedback& feedback,
                   float share) {
  const std::int64_t n = weight.dim(0), k = weight.dim(1);
  CHECK(drift.shape == Shape({k, k}) && feedback.gains.shape() == drift.shape,
        "correct {} for a drift {} with the gains of {}", weight.shape.to_string(), drift.shape.to_string(),
        feedback.gains.shape().to_string());
  ops::PackedMatrix packed = ops::make_packed_matrix(ctx, {DType::f32}, k, k);
  ops::pack_rows(ctx, drift, packed, 0);
  for (std::int64_t row = 0; row < n; row += kRowsAtOnce)
    correct_rows(ctx, weight.rows(row, std::min(kRowsAtOnce, n - row)), packed, feedback, share);
}

}  // namespace lmdeploy
