#include "quantize/gptq.h"

#include <algorithm>

#include "ops/ops.h"

namespace lmdeploy {
namespace {

// Places per block: within it errors are fed back place by place, beyond it as one product ("lazy batches",
// section 3.3).
constexpr std::int64_t kBlock = 128;
// Rows at once: they bound the memory, and are enough for the products to outweigh packing the gains.
constexpr std::int64_t kRowsAtOnce = 1024;

struct Rounding {
  const View& weight;  // [n, k] f32, in the file's order
  const ErrorFeedback& feedback;
  QuantizedLinear& target;
};

// One row of one block. work: the block's places, with what all later places have fed back; its errors
// afterwards. answers: [block, block]; row b has in column a < b what place a gains per error in place b.
void round_row(const Rounding& rounding, std::int64_t row, std::int64_t first, const View& answers,
               float* work) {
  const float* weight = rounding.weight.row<float>(row);
  std::uint8_t* codes = rounding.target.q.view().row<std::uint8_t>(row);
  for (std::int64_t b = answers.dim(0) - 1; b >= 0; b--) {
    const std::int64_t input = rounding.feedback.inputs[static_cast<std::size_t>(first + b)];
    const GroupGrid grid = rounding.target.grid(row, input / rounding.target.format.group_size);
    const float code = grid.code(work[b]), error = weight[input] - grid.value(code);
    codes[input] = static_cast<std::uint8_t>(code);
    const float* answer = answers.row<float>(b);
    for (std::int64_t a = 0; a < b; a++) work[a] += error * answer[a];
    work[b] = error;
  }
}

// work: [rows, k] by place: weights below the block `first`, errors above it.
void round_block(Ctx& ctx, const Rounding& rounding, std::int64_t first_row, std::int64_t first,
                 const View& work) {
  const Workspace::Scope scope(*ctx.workspace);
  const std::int64_t k = work.dim(1), end = std::min(first + kBlock, k), size = end - first;
  const View gains = rounding.feedback.gains.view().rows(first, size), block = work.columns(first, size);
  if (end < k) {
    ops::PackedMatrix later = ops::make_packed_matrix(ctx, {DType::f32}, size, k - end);
    ops::pack_rows(ctx, gains.columns(end, k - end), later, 0);
    ops::linear(ctx, work.columns(end, k - end), later, block, {.bias = {}, .accumulate = true});
  }
  const View answers = ctx.workspace->take(DType::f32, {size, size});
  ops::transpose(ctx, gains.columns(first, size), answers);
  ctx.pool->parallel_for(work.dim(0), [&](std::int64_t row, int) {
    round_row(rounding, first_row + row, first, answers, block.row<float>(row));
  });
}

}  // namespace

void round_with_feedback(Ctx& ctx, const View& weight, const ErrorFeedback& feedback,
                         QuantizedLinear& target) {
  const std::int64_t n = weight.dim(0), k = weight.dim(1);
  CHECK(weight.shape == target.q.shape() && feedback.gains.shape() == Shape({k, k}),
        "round {} to the grids of {} with the gains of {}", weight.shape.to_string(),
        target.q.shape().to_string(), feedback.gains.shape().to_string());
  for (std::int64_t first_row = 0; first_row < n; first_row += kRowsAtOnce) {
    const Workspace::Scope scope(*ctx.workspace);
    const View work = ctx.workspace->take(DType::f32, {std::min(kRowsAtOnce, n - first_row), k});
    ctx.pool->parallel_for(work.dim(0), [&](std::int64_t row, int) {
      const float* from = weight.row<float>(first_row + row);
      float* to = work.row<float>(row);
      for (const std::int64_t input : feedback.inputs) *to++ = from[input];
    });
    for (std::int64_t first = (k - 1) / kBlock * kBlock; first >= 0; first -= kBlock)
      round_block(ctx, {weight, feedback, target}, first_row, first, work);
  }
}

}  // namespace lmdeploy
