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

// What suits the kernel when multiplying is the work.
struct TaskShape {
  std::int64_t max_rows;        // as many as make reading the weights once per task cheap
  std::int64_t row_unit = 1;    // tasks begin at a multiple of it
  std::int64_t max_blocks = 1;  // of columns
};

struct LinearTasks {
  std::int64_t num_rows;
  std::int64_t row_unit;
  std::int64_t num_blocks;
  std::int64_t num_column_tasks;
  std::int64_t num_row_tasks;

  std::int64_t num_tasks() const { return num_column_tasks * num_row_tasks; }
  std::int64_t first_column(std::int64_t column_task) const {
    return num_blocks * column_task / num_column_tasks * kBlockColumns;
  }
  std::int64_t num_row_units() const { return (num_rows + row_unit - 1) / row_unit; }
  std::int64_t first_row(std::int64_t row_task) const {
    return std::min(num_rows, num_row_units() * row_task / num_row_tasks * row_unit);
  }
  std::int64_t max_rows() const {  // of a task
    return std::min(num_rows, (num_row_units() + num_row_tasks - 1) / num_row_tasks * row_unit);
  }
};

inline LinearTasks plan_tasks(std::int64_t m, const PackedMatrix& w, std::int64_t num_threads,
                              const TaskShape& shape) {
  const std::int64_t num_blocks = (w.n + kBlockColumns - 1) / kBlockColumns, wanted = 4 * num_threads;
  LinearTasks tasks{m, shape.row_unit, num_blocks, num_blocks, 1};
  if (m <= kFewRows) {
    tasks.num_column_tasks = std::min(num_blocks, std::max(wanted, w.bytes() / kTaskBytes));
    return tasks;
  }
  tasks.num_column_tasks =
      std::min(num_blocks, std::max(wanted, (num_blocks + shape.max_blocks - 1) / shape.max_blocks));
  const std::int64_t for_all_threads =
      std::min((wanted + num_blocks - 1) / num_blocks, m / std::max(kMinRowsPerTask, shape.row_unit));
  tasks.num_row_tasks = std::max((m + shape.max_rows - 1) / shape.max_rows, for_all_threads);
  return tasks;
}

}  // namespace lmdeploy::ops::cpu
