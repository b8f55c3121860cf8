#pragma once
// How the columns and rows of y are dealt to tasks. A block of columns is one stream of memory and is not
// divided: two threads that read alternate lines of it disturb each other. Nothing here changes a result.
#include <algorithm>
#include <cstdint>

#include "ops/cpu/kernels.h"
#include "ops/packed_matrix.h"

namespace lmdeploy::ops::cpu {

// Bytes of weights per task when few rows make reading them the work: about 30 us. The first lines of a task
// come without being fetched ahead, which tasks of a quarter of this pay with 7 % of the read rate.
inline constexpr std::int64_t kTaskBytes = 1 << 20;
// Up to here reading the weights is the work, beyond it the multiplications.
inline constexpr std::int64_t kFewRows = 24;
inline constexpr std::int64_t kMinRowsPerTask = 24;
// How far the weights are read ahead.
inline constexpr std::int64_t kFetchBytes = 6 << 10;

struct LinearTasks {
  std::int64_t num_blocks;
  std::int64_t num_column_tasks;
  std::int64_t num_row_tasks;

  std::int64_t num_tasks() const { return num_column_tasks * num_row_tasks; }
  std::int64_t first_column(std::int64_t column_task) const {
    return num_blocks * column_task / num_column_tasks * kBlockColumns;
  }
};

// rows_per_task: as many as make reading the weights once per task cheap.
inline LinearTasks plan_tasks(std::int64_t m, const PackedMatrix& w, std::int64_t num_threads,
                              std::int64_t rows_per_task) {
  const std::int64_t num_blocks = (w.n + kBlockColumns - 1) / kBlockColumns, wanted = 4 * num_threads;
  if (m <= kFewRows) return {num_blocks, std::min(num_blocks, std::max(wanted, w.bytes() / kTaskBytes)), 1};
  const std::int64_t for_all_threads = std::min((wanted + num_blocks - 1) / num_blocks, m / kMinRowsPerTask);
  return {num_blocks, num_blocks, std::max((m + rows_per_task - 1) / rows_per_task, for_all_threads)};
}

}  // namespace lmdeploy::ops::cpu
