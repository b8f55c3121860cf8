#include <algorithm>
#include <cstring>

#include "ops/cpu/cpu_ops.h"
#include "ops/cpu/kernels.h"
#include "ops/cpu/linear_tasks.h"
#include "ops/cpu/parallel.h"
#include "ops/cpu/quantized_linear.h"

namespace lmdeploy::ops::cpu {
namespace {

// Bytes of weights that rows pass over at once, group after group: they stay in the second-level cache.
constexpr std::int64_t kCachedBytes = 256 << 10;
constexpr std::int64_t kRowsPerTask = 512;

struct Left {
  const void* data;
  std::int64_t stride;  // elements
};

// x as the kernels read it: in their type, with a whole number of pairs. Often that is x itself.
Left left_operand(Ctx& ctx, const View& x, DType type, std::int64_t k_padded) {
  const std::int64_t k = x.dim(1);
  if (x.dtype == type && k == k_padded) return {x.data, x.row_stride};
  const View copy = ctx.workspace->take(type, {x.dim(0), k_padded});
  const auto cast = kernels(ctx.cpu_isa).cast[dtype_idx(x.dtype)][dtype_idx(type)];
  const auto pad_bytes = static_cast<std::size_t>(k_padded - k) * dtype_bytes(type);
  parallel_rows(ctx, x.dim(0), k, [&](std::int64_t row) {
    cast(element(x, row), element(copy, row), k);
    std::memset(element(copy, row, k), 0, pad_bytes);
  });
  return {copy.data, k_padded};
}

void float_linear(Ctx& ctx, const View& x, const PackedMatrix& w, const View& y,
                  const LinearOptions& options) {
  const Workspace::Scope scope(*ctx.workspace);
  const Kernels& k = kernels(ctx.cpu_isa);
  const std::int64_t m = x.dim(0), pair = pair_of(w.dtype()), num_steps = (w.k + pair - 1) / pair;
  const DType left_type = w.dtype() == DType::bf16 && k.bf16_dot ? DType::bf16 : DType::f32;
  const Left left = left_operand(ctx, x, left_type, num_steps * pair);
  const std::int64_t step_elements = kBlockColumns * pair;

  Matmul all;
  all.x_stride = left.stride;
  all.w = w.data.view().data;
  all.w_step = step_elements;
  all.w_block_stride = num_steps * step_elements;
  all.num_steps = num_steps;
  all.y_stride = y.row_stride;
  all.bias = options.bias.empty() ? nullptr : options.bias.as<float>();
  all.accumulate = options.accumulate;
  all.fetch_distance = kFetchBytes;
  // Partial sums wait in y, exactly, so this changes no result.
  all.steps_at_once = kCachedBytes / (step_elements * static_cast<std::int64_t>(dtype_bytes(w.dtype())));
  const LinearTasks tasks = plan_tasks(m, w, ctx.pool->num_threads(), kRowsPerTask);
  const auto multiply = [&](std::int64_t task_idx, int) {
    const std::int64_t column_task = task_idx % tasks.num_column_tasks;
    const std::int64_t row_task = task_idx / tasks.num_column_tasks;
    const std::int64_t row = m * row_task / tasks.num_row_tasks;
    Matmul part = all;
    part.x = static_cast<const char*>(left.data) +
             row * left.stride * static_cast<std::int64_t>(dtype_bytes(left_type));
    part.y = y.row<float>(row);
    part.num_rows = m * (row_task + 1) / tasks.num_row_tasks - row;
    part.first_column = tasks.first_column(column_task);
    part.end_column = std::min(w.n, tasks.first_column(column_task + 1));
    k.matmul[dtype_idx(w.dtype())](part);
  };
  ctx.pool->parallel_for(tasks.num_tasks(), std::cref(multiply));
}

}  // namespace

void linear(Ctx& ctx, const View& x, const PackedMatrix& w, const View& y, const LinearOptions& options) {
  if (w.format.quant)
    quantized_linear(ctx, x, w, y, options);
  else
    float_linear(ctx, x, w, y, options);
}

}  // namespace lmdeploy::ops::cpu
