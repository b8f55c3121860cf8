#include <algorithm>
#include <cstring>

#include "ops/cpu/cpu_ops.h"
#include "ops/cpu/kernels.h"
#include "ops/cpu/parallel.h"

namespace lmdeploy::ops::cpu {
namespace {

// Bytes of weights per task when few rows make reading them the work: about 10 us.
constexpr std::int64_t kTaskBytes = 256 << 10;
// Up to here reading the weights is the work, beyond it the multiplications.
constexpr std::int64_t kFewRows = 16;
// Bytes of weights that stay in the second-level cache while many rows pass.
constexpr std::int64_t kCachedBytes = 256 << 10;
// Rows per task: as many as make reading the weights once per task cheap.
constexpr std::int64_t kRowsPerTask = 512;
constexpr std::int64_t kMinRowsPerTask = 24;

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

// How the columns and rows of y are dealt to tasks. Nothing here changes a result.
struct Tasks {
  std::int64_t num_units;  // of kColumnUnit columns
  std::int64_t num_column_tasks;
  std::int64_t num_row_tasks;
};

Tasks plan_tasks(std::int64_t m, const PackedMatrix& w, std::int64_t num_threads) {
  Tasks t{};
  t.num_units = (w.n + kColumnUnit - 1) / kColumnUnit;
  const std::int64_t num_blocks = (t.num_units + 1) / 2;
  if (m <= kFewRows) {
    const std::int64_t wanted = std::max(num_threads, w.bytes() / kTaskBytes);
    t.num_column_tasks = std::min(t.num_units, (wanted + num_threads - 1) / num_threads * num_threads);
  } else {
    t.num_column_tasks = num_blocks;
  }
  const std::int64_t for_all = (4 * num_threads + t.num_column_tasks - 1) / t.num_column_tasks;
  t.num_row_tasks =
      std::max((m + kRowsPerTask - 1) / kRowsPerTask,
               m <= kFewRows ? 1 : std::min(for_all, (m + kMinRowsPerTask - 1) / kMinRowsPerTask));
  return t;
}

// First column of a task: whole blocks where there are many, so that a cache line is read by one thread.
std::int64_t first_column(const Tasks& t, std::int64_t task_idx) {
  std::int64_t unit = t.num_units * task_idx / t.num_column_tasks;
  if (t.num_units >= 8 * t.num_column_tasks || t.num_column_tasks == (t.num_units + 1) / 2)
    unit = (unit + 1) / 2 * 2;
  return std::min(unit, t.num_units) * kColumnUnit;
}

}  // namespace

void linear(Ctx& ctx, const View& x, const PackedMatrix& w, const View& y, const LinearOptions& options) {
  const Workspace::Scope scope(*ctx.workspace);
  const Kernels& k = kernels(ctx.cpu_isa);
  const std::int64_t m = x.dim(0), pair = pair_of(w.dtype), num_steps = (w.k + pair - 1) / pair;
  const DType left_type = w.dtype == DType::bf16 && k.bf16_dot ? DType::bf16 : DType::f32;
  const Left left = left_operand(ctx, x, left_type, num_steps * pair);
  const auto element_bytes = static_cast<std::int64_t>(dtype_bytes(w.dtype));
  const std::int64_t step_elements = kBlockColumns * pair;
  const std::int64_t steps_at_once =
      m <= kFewRows ? num_steps : kCachedBytes / (step_elements * element_bytes);

  Matmul all;
  all.x_stride = left.stride;
  all.w_step = step_elements;
  all.w_block_stride = num_steps * step_elements;
  all.y_stride = y.row_stride;
  const Tasks tasks = plan_tasks(m, w, ctx.pool->num_threads());
  const auto multiply = [&](std::int64_t task_idx, int) {
    Matmul part = all;
    const std::int64_t column_task = task_idx % tasks.num_column_tasks;
    const std::int64_t row_task = task_idx / tasks.num_column_tasks;
    const std::int64_t row = m * row_task / tasks.num_row_tasks;
    part.num_rows = m * (row_task + 1) / tasks.num_row_tasks - row;
    part.first_column = first_column(tasks, column_task);
    part.end_column = std::min(w.n, first_column(tasks, column_task + 1));
    part.y = y.row<float>(row);
    part.accumulate = options.accumulate;
    part.bias = options.bias.empty() ? nullptr : options.bias.as<float>();
    part.prefetch = true;
    const char* x_row = static_cast<const char*>(left.data) +
                        row * left.stride * static_cast<std::int64_t>(dtype_bytes(left_type));
    for (std::int64_t step = 0; step < num_steps; step += steps_at_once) {
      part.num_steps = std::min(steps_at_once, num_steps - step);
      part.x = x_row + step * pair * static_cast<std::int64_t>(dtype_bytes(left_type));
      part.w = static_cast<const char*>(w.data.view().data) + step * step_elements * element_bytes;
      k.matmul[dtype_idx(w.dtype)](part);
      part.accumulate = true;
      part.bias = nullptr;
    }
  };
  ctx.pool->parallel_for(tasks.num_column_tasks * tasks.num_row_tasks, std::cref(multiply));
}

}  // namespace lmdeploy::ops::cpu
