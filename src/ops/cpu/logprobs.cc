#include <algorithm>
#include <cmath>

#include "ops/cpu/block_maxima.h"
#include "ops/cpu/cpu_ops.h"
#include "ops/cpu/kernels.h"
#include "ops/cpu/parallel.h"

namespace lmdeploy::ops::cpu {
namespace {

constexpr std::int64_t kExpCost = 4;

double log_sum_exp(const Kernels& k, const float* x, std::int64_t count) {
  const float max = k.max(x, count);
  return static_cast<double>(max) + std::log(k.sum_exp(x, max, count));
}

float logprob(float logit, double log_sum) {
  return static_cast<float>(static_cast<double>(logit) - log_sum);
}

std::vector<IdLogprob> top_of(const Kernels& k, const float* x, std::int64_t v, std::int64_t num) {
  const double log_sum = log_sum_exp(k, x, v);
  if (!std::isfinite(log_sum)) return {};
  const BlockMaxima maxima(k, x, v);
  std::vector<std::int32_t> ids = maxima.ids_from(maxima.reached_by(num));
  const auto end = ids.begin() + std::min<std::ptrdiff_t>(num, std::ssize(ids));
  std::partial_sort(ids.begin(), end, ids.end(),
                    [&](std::int32_t a, std::int32_t b) { return x[a] != x[b] ? x[a] > x[b] : a < b; });
  std::vector<IdLogprob> top;
  for (auto id = ids.begin(); id != end; ++id) top.push_back({*id, logprob(x[*id], log_sum)});
  return top;
}

}  // namespace

void token_logprobs(Ctx& ctx, const View& logits, std::span<const std::int32_t> targets,
                    std::span<float> logprobs) {
  const Kernels& k = kernels(ctx.cpu_isa);
  const std::int64_t v = logits.dim(1);
  parallel_rows(ctx, logits.dim(0), v * kExpCost, [&](std::int64_t row) {
    const auto i = static_cast<std::size_t>(row);
    const float* x = logits.row<float>(row);
    logprobs[i] = targets[i] < 0 ? 0 : logprob(x[targets[i]], log_sum_exp(k, x, v));
  });
}

void top_logprobs(Ctx& ctx, const View& logits, std::span<const std::int32_t> counts,
                  std::span<std::vector<IdLogprob>> tops) {
  const Kernels& k = kernels(ctx.cpu_isa);
  const std::int64_t v = logits.dim(1);
  parallel_rows(ctx, logits.dim(0), v * kExpCost, [&](std::int64_t row) {
    const auto i = static_cast<std::size_t>(row);
    tops[i] = counts[i] == 0 ? std::vector<IdLogprob>() : top_of(k, logits.row<float>(row), v, counts[i]);
  });
}

}  // namespace lmdeploy::ops::cpu
