#pragma once
// Every op again, slowly: scalars, double, formulas as the papers print them. For tests; shares nothing with
// the kernels.
#include <cstdint>
#include <vector>

namespace lmdeploy::ops::ref {

struct Matrix {
  std::int64_t num_rows = 0;
  std::int64_t num_columns = 0;
  std::vector<double> values;  // row by row

  Matrix(std::int64_t rows, std::int64_t columns)
      : num_rows(rows), num_columns(columns), values(static_cast<std::size_t>(rows * columns)) {}
  double& at(std::int64_t row, std::int64_t column) {
    return values[static_cast<std::size_t>(row * num_columns + column)];
  }
  double at(std::int64_t row, std::int64_t column) const {
    return values[static_cast<std::size_t>(row * num_columns + column)];
  }
};

Matrix embed(const std::vector<std::int32_t>& ids, const Matrix& table);
// x: rows of any number of groups of weight.size() columns, each normalised by itself.
Matrix rms_norm(const Matrix& x, const std::vector<double>& weight, double eps);
// bias: empty or [n].
Matrix linear(const Matrix& x, const Matrix& w, const std::vector<double>& bias);
// x: [m, num_heads * 2 * inv_freq.size()]
Matrix rope(const Matrix& x, std::int64_t num_heads, const std::vector<std::int32_t>& positions,
            const std::vector<double>& inv_freq, double scale);
Matrix silu_mul(const Matrix& x);
std::vector<double> log_softmax(const std::vector<double>& logits);
double kl_divergence(const std::vector<double>& p_logits, const std::vector<double>& q_logits);

// One sequence. q: [num_queries, num_heads * d], the last rows of the context; k, v: [context_len,
// num_kv_heads * d].
struct AttentionShape {
  std::int64_t num_heads;
  std::int64_t num_kv_heads;
  std::int64_t head_dim;
  double scale;
  std::int64_t sliding_window;  // 0: none
};
Matrix attention(const Matrix& q, const Matrix& k, const Matrix& v, const AttentionShape& shape);

}  // namespace lmdeploy::ops::ref
