#include <algorithm>
#include <cstring>

#include "ops/cpu/cpu_ops.h"
#include "ops/cpu/kernels.h"
#include "ops/cpu/parallel.h"

namespace lmdeploy::ops::cpu {
namespace {

// Bytes of weights per task when few rows make reading them the work: about 30 us. The first lines of a task
// come without being fetched ahead, which tasks of a quarter of this pay with 7 % of the read rate.
constexpr std::int64_t kTaskBytes = 1 << 20;
// Up to here reading the weights is the work, beyond it the multiplications.
constexpr std::int64_t kFewRows = 24;
// How far the weights are read ahead.
constexpr std::int64_t kFetchBytes = 6 << 10;
// Bytes of weights that rows pass over at once, group after group: they stay in the second-level cache.
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

// How the columns and rows of y are dealt to tasks. A block of columns is one stream of memory and is not
// divided: two threads that read alternate lines of it disturb each other. Nothing here changes a result.
struct Tasks {
  std::int64_t num_blocks;
  std::int64_t num_column_tasks;
  std::int64_t num_row_tasks;

  std::int64_t first_column(std::int64_t column_task) const {
    return num_blocks * column_task / num_column_tasks * kBlockColumns;
  }
};

Tasks plan_tasks(std::int64_t m, const PackedMatrix& w, std::int64_t num_threads) {
  const std::int64_t num_blocks = (w.n + kBlockColumns - 1) / kBlockColumns, wanted = 4 * num_threads;
  if (m <= kFewRows) return {num_blocks, std::min(num_blocks, std::max(wanted, w.bytes() / kTaskBytes)), 1};
  const std::int64_t for_all_threads = std::min((wanted + num_blocks - 1) / num_blocks, m / kMinRowsPerTask);
  return {num_blocks, num_blocks, std::max((m + kRowsPerTask - 1) / kRowsPerTask, for_all_threads)};
}

}  // namespace

void linear(Ctx& ctx, const View& x, const PackedMatrix& w, const View& y, const LinearOptions& options) {
  const Workspace::Scope scope(*ctx.workspace);
  const Kernels& k = kernels(ctx.cpu_isa);
  const std::int64_t m = x.dim(0), pair = pair_of(w.dtype), num_steps = (w.k + pair - 1) / pair;
  const DType left_type = w.dtype == DType::bf16 && k.bf16_dot ? DType::bf16 : DType::f32;
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
  all.steps_at_once = kCachedBytes / (step_elements * static_cast<std::int64_t>(dtype_bytes(w.dtype)));
  const Tasks tasks = plan_tasks(m, w, ctx.pool->num_threads());
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
    k.matmul[dtype_idx(w.dtype)](part);
  };
  ctx.pool->parallel_for(tasks.num_column_tasks * tasks.num_row_tasks, std::cref(multiply));
}

}  // namespace lmdeploy::ops::cpu
