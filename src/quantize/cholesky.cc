#include "quantize/cholesky.h"

#include <algorithm>
#include <cmath>

#include "ops/ops.h"

namespace lmdeploy {
namespace {

// Golub & Van Loan, Matrix Computations, section 4.2.6: factor a block of rows, solve the rest of its rows,
// subtract what they say of the rest of the matrix. That last product is nearly all of the work.
constexpr std::int64_t kBlock = 128;
constexpr std::int64_t kColumnsPerTask = 512;

// row[c] -= factor * pivot_row[c]
void subtract(float* row, float factor, const float* pivot_row, std::int64_t begin, std::int64_t end) {
  for (std::int64_t c = begin; c < end; c++) row[c] -= factor * pivot_row[c];
}

// Rows [first, end) in the columns [first, end).
bool factor_block(const View& a, std::int64_t first, std::int64_t end) {
  for (std::int64_t i = first; i < end; i++) {
    float* pivot_row = a.row<float>(i);
    if (!(pivot_row[i] > 0) || !std::isfinite(pivot_row[i])) return false;
    const float root = std::sqrt(pivot_row[i]);
    for (std::int64_t c = i; c < end; c++) pivot_row[c] /= root;
    for (std::int64_t r = i + 1; r < end; r++) subtract(a.row<float>(r), pivot_row[r], pivot_row, r, end);
  }
  return true;
}

// The same rows in the columns [begin, stop) beyond the block.
void solve_columns(const View& a, std::int64_t first, std::int64_t end, std::int64_t begin,
                   std::int64_t stop) {
  for (std::int64_t i = first; i < end; i++) {
    float* pivot_row = a.row<float>(i);
    const float diagonal = pivot_row[i];
    for (std::int64_t c = begin; c < stop; c++) pivot_row[c] /= diagonal;
    for (std::int64_t r = i + 1; r < end; r++)
      subtract(a.row<float>(r), pivot_row[r], pivot_row, begin, stop);
  }
}

// rest -= rows^T rows, where rows: [kBlock, k], rest: [k, k].
void subtract_product(Ctx& ctx, const View& rows, const View& rest) {
  const Workspace::Scope scope(*ctx.workspace);
  const View columns = ctx.workspace->take(DType::f32, {rows.dim(1), rows.dim(0)});
  ops::transpose(ctx, rows, columns);
  ops::PackedMatrix packed = ops::make_packed_matrix(ctx, {DType::f32}, columns.dim(0), columns.dim(1));
  ops::pack_rows(ctx, columns, packed, 0);
  for (float* value = columns.as<float>(); value != columns.as<float>() + columns.shape.num_elements();
       value++)
    *value = -*value;
  ops::linear(ctx, columns, packed, rest, {.bias = {}, .accumulate = true});
}

}  // namespace

bool factor_cholesky(Ctx& ctx, const View& matrix) {
  const std::int64_t k = matrix.dim(0);
  CHECK(matrix.dim(1) == k, "Cholesky of {}", matrix.shape.to_string());
  for (std::int64_t first = 0; first < k; first += kBlock) {
    const std::int64_t end = std::min(first + kBlock, k), num_left = k - end;
    if (!factor_block(matrix, first, end)) return false;
    if (num_left == 0) break;
    const auto solve = [&](std::int64_t task, int) {
      const std::int64_t begin = end + task * kColumnsPerTask;
      solve_columns(matrix, first, end, begin, std::min(begin + kColumnsPerTask, k));
    };
    ctx.pool->parallel_for((num_left + kColumnsPerTask - 1) / kColumnsPerTask, solve);
    subtract_product(ctx, matrix.rows(first, end - first).columns(end, num_left),
                     matrix.rows(end, num_left).columns(end, num_left));
  }
  return true;
}

}  // namespace lmdeploy
