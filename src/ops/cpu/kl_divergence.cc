#include <algorithm>
#include <cmath>
#include <span>

#include "ops/cpu/cpu_ops.h"
#include "ops/cpu/parallel.h"

namespace lmdeploy::ops::cpu {
namespace {

// Two calls of the math library an element: it is asked for beside whole forward passes, which take longer.
constexpr std::int64_t kExpCost = 16;

// sum p (log p - log q), with log p = a - log A and log q = b - log B for the unnormalised rows a and b. The
// maxima are taken out first, so that nothing overflows.
double kl_of(std::span<const float> p, std::span<const float> q) {
  const auto p_max = static_cast<double>(*std::max_element(p.begin(), p.end()));
  const auto q_max = static_cast<double>(*std::max_element(q.begin(), q.end()));
  double p_sum = 0, q_sum = 0, difference = 0;
  for (std::size_t i = 0; i < p.size(); i++) {
    const double a = static_cast<double>(p[i]) - p_max, b = static_cast<double>(q[i]) - q_max;
    const double weight = std::exp(a);
    p_sum += weight;
    q_sum += std::exp(b);
    if (weight != 0) difference += weight * (a - b);  // 0 log 0 = 0; also keeps inf - inf out
  }
  const double kl = difference / p_sum - std::log(p_sum) + std::log(q_sum);
  return kl < 0 ? 0 : kl;  // below 0 by rounding only; NaN stays
}

}  // namespace

void kl_divergence(Ctx& ctx, const View& p, const View& q, std::span<double> kl) {
  const std::int64_t v = p.dim(1);
  const auto row_of = [v](const View& view, std::int64_t row) {
    return std::span<const float>(view.row<float>(row), static_cast<std::size_t>(v));
  };
  parallel_rows(ctx, p.dim(0), v * kExpCost, [&](std::int64_t row) {
    kl[static_cast<std::size_t>(row)] = kl_of(row_of(p, row), row_of(q, row));
  });
}

}  // namespace lmdeploy::ops::cpu
