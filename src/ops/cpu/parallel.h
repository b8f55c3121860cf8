#pragma once
#include <algorithm>
#include <cstdint>
#include <functional>

#include "tensor/ctx.h"

namespace lmdeploy::ops::cpu {

// Work of this many elements takes several microseconds: less is not worth waking a thread for.
inline constexpr std::int64_t kTaskElements = 32768;

// Calls body(row) for every row in [0, num_rows), on several threads where the rows are worth it.
template <class Body>
void parallel_rows(Ctx& ctx, std::int64_t num_rows, std::int64_t elements_per_row, const Body& body) {
  const std::int64_t rows_per_task =
      std::max<std::int64_t>(1, kTaskElements / std::max<std::int64_t>(1, elements_per_row));
  const std::int64_t num_tasks = (num_rows + rows_per_task - 1) / rows_per_task;
  const auto task = [&](std::int64_t task_idx, int) {
    const std::int64_t end = std::min(num_rows, (task_idx + 1) * rows_per_task);
    for (std::int64_t row = task_idx * rows_per_task; row < end; row++) body(row);
  };
  ctx.pool->parallel_for(num_tasks, std::cref(task));
}

// Where element `column` of row `row` of a view lies.
inline char* element(const View& view, std::int64_t row, std::int64_t column = 0) {
  return static_cast<char*>(view.data) +
         (row * view.row_stride + column) * static_cast<std::int64_t>(dtype_bytes(view.dtype));
}

}  // namespace lmdeploy::ops::cpu
