#pragma once
#include <cstdint>

namespace lmdeploy {

// Rows [source_row, source_row + num_rows) of a tensor go to rows [target_row, ...) of a stacked matrix.
struct RowMove {
  std::int64_t source_row = 0;
  std::int64_t num_rows = 0;
  std::int64_t target_row = 0;
};

}  // namespace lmdeploy
