#include "ops/ref/reference.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace lmdeploy::ops::ref {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

std::size_t idx(std::int64_t i) {
  return static_cast<std::size_t>(i);
}

}  // namespace

Matrix embed(const std::vector<std::int32_t>& ids, const Matrix& table) {
  Matrix y(static_cast<std::int64_t>(ids.size()), table.num_columns);
  for (std::int64_t r = 0; r < y.num_rows; r++)
    for (std::int64_t c = 0; c < y.num_columns; c++) y.at(r, c) = table.at(ids[idx(r)], c);
  return y;
}

Matrix rms_norm(const Matrix& x, const std::vector<double>& weight, double eps) {
  Matrix y(x.num_rows, x.num_columns);
  const auto d = static_cast<std::int64_t>(weight.size());
  for (std::int64_t r = 0; r < x.num_rows; r++)
    for (std::int64_t begin = 0; begin < x.num_columns; begin += d) {
      double sum = 0;
      for (std::int64_t c = 0; c < d; c++) sum += x.at(r, begin + c) * x.at(r, begin + c);
      const double rms = std::sqrt(sum / static_cast<double>(d) + eps);
      for (std::int64_t c = 0; c < d; c++) y.at(r, begin + c) = x.at(r, begin + c) / rms * weight[idx(c)];
    }
  return y;
}

Matrix linear(const Matrix& x, const Matrix& w, const std::vector<double>& bias) {
  Matrix y(x.num_rows, w.num_rows);
  for (std::int64_t r = 0; r < x.num_rows; r++)
    for (std::int64_t n = 0; n < w.num_rows; n++) {
      double sum = bias.empty() ? 0 : bias[idx(n)];
      for (std::int64_t c = 0; c < x.num_columns; c++) sum += x.at(r, c) * w.at(n, c);
      y.at(r, n) = sum;
    }
  return y;
}

Matrix rope(const Matrix& x, std::int64_t num_heads, const std::vector<std::int32_t>& positions,
            const std::vector<double>& inv_freq, double scale) {
  Matrix y(x.num_rows, x.num_columns);
  const auto half = static_cast<std::int64_t>(inv_freq.size());
  for (std::int64_t r = 0; r < x.num_rows; r++)
    for (std::int64_t h = 0; h < num_heads; h++)
      for (std::int64_t j = 0; j < half; j++) {
        const double angle = positions[idx(r)] * inv_freq[idx(j)];
        const std::int64_t first = h * 2 * half + j, second = first + half;
        y.at(r, first) = scale * (x.at(r, first) * std::cos(angle) - x.at(r, second) * std::sin(angle));
        y.at(r, second) = scale * (x.at(r, second) * std::cos(angle) + x.at(r, first) * std::sin(angle));
      }
  return y;
}

Matrix silu_mul(const Matrix& x) {
  Matrix y(x.num_rows, x.num_columns / 2);
  for (std::int64_t r = 0; r < y.num_rows; r++)
    for (std::int64_t c = 0; c < y.num_columns; c++)
      y.at(r, c) = x.at(r, c) / (1 + std::exp(-x.at(r, c))) * x.at(r, y.num_columns + c);
  return y;
}

std::vector<double> log_softmax(const std::vector<double>& logits) {
  const double max = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const double x : logits) sum += std::exp(x - max);
  std::vector<double> result;
  for (const double x : logits) result.push_back(x - max - std::log(sum));
  return result;
}

double kl_divergence(const std::vector<double>& p_logits, const std::vector<double>& q_logits) {
  const std::vector<double> log_p = log_softmax(p_logits), log_q = log_softmax(q_logits);
  double sum = 0;
  for (std::size_t i = 0; i < log_p.size(); i++) sum += std::exp(log_p[i]) * (log_p[i] - log_q[i]);
  return sum;
}

Matrix attention(const Matrix& q, const Matrix& k, const Matrix& v, const AttentionShape& shape) {
  Matrix y(q.num_rows, q.num_columns);
  const std::int64_t d = shape.head_dim;
  for (std::int64_t r = 0; r < q.num_rows; r++)
    for (std::int64_t h = 0; h < shape.num_heads; h++) {
      const std::int64_t kv_begin = h / (shape.num_heads / shape.num_kv_heads) * d;
      const std::int64_t position = k.num_rows - q.num_rows + r;
      std::vector<double> scores(idx(k.num_rows), -kInfinity);
      for (std::int64_t t = 0; t <= position; t++) {
        if (shape.sliding_window > 0 && t <= position - shape.sliding_window) continue;
        double dot = 0;
        for (std::int64_t c = 0; c < d; c++) dot += q.at(r, h * d + c) * k.at(t, kv_begin + c);
        scores[idx(t)] = dot * shape.scale;
      }
      const std::vector<double> log_weights = log_softmax(scores);
      for (std::int64_t t = 0; t <= position; t++)
        for (std::int64_t c = 0; c < d; c++)
          y.at(r, h * d + c) += std::exp(log_weights[idx(t)]) * v.at(t, kv_begin + c);
    }
  return y;
}

}  // namespace lmdeploy::ops::ref
