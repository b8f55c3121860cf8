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
constexpr TaskShape kTaskShape = {.max_rows = 512, .max_blocks = 4};
constexpr TaskShape kTiledTaskShape = {.max_rows = 512, .row_unit = kXTileRows, .max_blocks = 4};
constexpr std::int64_t kPairBytes = 4;
constexpr std::int64_t kTileBytes = kXTileSteps * kPairBytes;  // of a row
constexpr std::int64_t kRowsInPlace = 16;                      // so few are read where they lie, always
// Rows of x at a multiple of this distance would drive each other out of the first-level cache.
constexpr std::int64_t kBadStrideBytes = 2048;

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

// Rows of pairs of bf16 as Matmul::x_in_tiles.
Left in_tiles(Ctx& ctx, const Left& x, std::int64_t m, std::int64_t num_steps) {
  const std::int64_t num_tiles = (num_steps + kXTileSteps - 1) / kXTileSteps;
  const std::int64_t num_groups = (m + kXTileRows - 1) / kXTileRows, row_bytes = num_steps * kPairBytes;
  const View tiles = ctx.workspace->take(DType::u8, {num_groups, num_tiles * kXTileRows * kTileBytes});
  parallel_rows(ctx, m, row_bytes, [&](std::int64_t row) {
    const char* from = static_cast<const char*>(x.data) + row * x.stride * kPairBytes / 2;
    char* to = element(tiles, row / kXTileRows) + row % kXTileRows * kTileBytes;
    for (std::int64_t at = 0; at < row_bytes; at += kTileBytes, to += kXTileRows * kTileBytes) {
      const std::int64_t count = std::min(kTileBytes, row_bytes - at);
      std::memcpy(to, from + at, static_cast<std::size_t>(count));
      std::memset(to + count, 0, static_cast<std::size_t>(kTileBytes - count));
    }
  });
  return {tiles.data, num_tiles * kXTileSteps * 2};
}

void float_linear(Ctx& ctx, const View& x, const PackedMatrix& w, const View& y,
                  const LinearOptions& options) {
  const Workspace::Scope scope(*ctx.workspace);
  const Kernels& k = kernels(ctx.cpu_isa);
  const std::int64_t m = x.dim(0), pair = pair_of(w.dtype()), num_steps = (w.k + pair - 1) / pair;
  const DType left_type = w.dtype() == DType::bf16 && k.bf16_dot ? DType::bf16 : DType::f32;
  Left left = left_operand(ctx, x, left_type, num_steps * pair);
  const bool tiles = w.dtype() == DType::bf16 && k.bf16_tiles;
  const bool bad_stride = m > kRowsInPlace && left.stride * kPairBytes / 2 % kBadStrideBytes == 0;
  const bool x_in_tiles = tiles && (bad_stride || num_steps % kXTileSteps != 0);
  if (x_in_tiles) left = in_tiles(ctx, left, m, num_steps);
  const std::int64_t step_elements = kBlockColumns * pair;

  Matmul all;
  all.x_in_tiles = x_in_tiles;
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
  const LinearTasks tasks = plan_tasks(m, w, ctx.pool->num_threads(), tiles ? kTiledTaskShape : kTaskShape);
  const auto multiply = [&](std::int64_t task_idx, int) {
    const std::int64_t column_task = task_idx % tasks.num_column_tasks;
    const std::int64_t row_task = task_idx / tasks.num_column_tasks;
    const std::int64_t row = tasks.first_row(row_task);
    Matmul part = all;
    part.x = static_cast<const char*>(left.data) +
             row * left.stride * static_cast<std::int64_t>(dtype_bytes(left_type));
    part.y = y.row<float>(row);
    part.num_rows = tasks.first_row(row_task + 1) - row;
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
