#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <vector>

#include "ops/cpu/cpu_ops.h"
#include "ops/cpu/kernels.h"
#include "ops/cpu/parallel.h"

namespace lmdeploy::ops::cpu {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr std::int32_t kNoToken = -1;

// Uniform in [0, 1), a function of its arguments alone (SplitMix64's finaliser, Steele et al. 2014, twice).
double uniform(std::uint64_t seed, std::uint64_t draw) {
  const auto mix = [](std::uint64_t z) {
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
  };
  constexpr std::uint64_t kGolden = 0x9e3779b97f4a7c15U;
  const std::uint64_t bits = mix(mix(seed + kGolden) + (draw + 1) * kGolden);
  return static_cast<double>(bits >> 11) * 0x1p-53;
}

struct Row {
  const float* logits;   // [v], penalties applied
  const float* weights;  // [v], exp of (logit - max) / temperature: probabilities times total_weight
  std::int64_t v;
  double total_weight;
};

// A logit below which no token can be drawn. It need not be tight: it only makes the rest short.
float candidate_floor(const Kernels& k, const Row& row, const SamplingRow& options,
                      const std::vector<float>& block_max) {
  if (options.top_k > 0 && options.top_k <= static_cast<std::int32_t>(block_max.size())) {
    // The k-th largest of the blocks' maxima has at least k logits that are not below it.
    std::vector<float> maxima = block_max;
    const auto kth = maxima.begin() + options.top_k - 1;
    std::nth_element(maxima.begin(), kth, maxima.end(), std::greater<>());
    return *kth;
  }
  if (options.top_k > 0 || (options.top_p >= 1 && options.min_p <= 0)) return -kInfinity;
  // Tokens of this weight and less add up to at most 1 - top_p of all, so top_p is reached before them.
  const double rest = std::max(0.0, 1 - static_cast<double>(options.top_p));
  const double least = std::max(0.5 * rest * row.total_weight / static_cast<double>(row.v),
                                0.5 * std::min(1.0, static_cast<double>(options.min_p)));
  const float max = k.max(block_max.data(), static_cast<std::int64_t>(block_max.size()));
  return static_cast<float>(static_cast<double>(max) +
                            std::log(least) * static_cast<double>(options.temperature));
}

using Ids = std::vector<std::int32_t>;

// Ids whose logit is at least candidate_floor.
Ids candidates(const Kernels& k, const Row& row, const SamplingRow& options) {
  constexpr std::int64_t kBlockLen = 64;
  std::vector<float> block_max;
  for (std::int64_t i = 0; i < row.v; i += kBlockLen)
    block_max.push_back(k.max(row.logits + i, std::min(kBlockLen, row.v - i)));
  const float floor = candidate_floor(k, row, options, block_max);
  Ids ids;
  for (std::size_t block = 0; block < block_max.size(); block++) {
    if (block_max[block] < floor) continue;
    const std::int64_t begin = static_cast<std::int64_t>(block) * kBlockLen;
    for (std::int64_t i = begin; i < std::min(row.v, begin + kBlockLen); i++)
      if (row.logits[i] >= floor && row.weights[i] > 0) ids.push_back(static_cast<std::int32_t>(i));
  }
  return ids;
}

double weight_of(const Row& row, std::span<const std::int32_t> ids) {
  double sum = 0;
  for (const std::int32_t id : ids) sum += static_cast<double>(row.weights[id]);
  return sum;
}

// The higher logit, the lower id among equals.
auto goes_before(const Row& row) {
  return [&row](std::int32_t a, std::int32_t b) {
    return row.logits[a] != row.logits[b] ? row.logits[a] > row.logits[b] : a < b;
  };
}

// Ties of the k-th logit stay.
void keep_top_k(const Row& row, std::size_t top_k, Ids& ids) {
  if (top_k >= ids.size()) return;
  const auto kth = ids.begin() + static_cast<std::ptrdiff_t>(top_k) - 1;
  std::nth_element(ids.begin(), kth, ids.end(), goes_before(row));
  const float lowest = row.logits[*kth];
  std::erase_if(ids, [&](std::int32_t id) { return row.logits[id] < lowest; });
}

// The fewest tokens, from the highest logit down, whose weights reach `target`. By halving: what is still in
// question is divided at its median, so nothing has to be sorted.
void keep_top_p(const Row& row, double target, Ids& ids) {
  auto begin = ids.begin(), end = ids.end();
  double before = 0;  // the weight of the ids up to `begin`, which all stay
  while (end - begin > 1) {
    const auto middle = begin + (end - begin) / 2;
    std::nth_element(begin, middle, end, goes_before(row));
    const double sum = before + weight_of(row, {begin, middle});
    if (sum >= target) {
      end = middle;
    } else {
      before = sum;
      begin = middle;
    }
  }
  ids.erase(end, ids.end());
}

// The tokens that may be drawn: min_p counts from the highest probability, whose weight is 1.
Ids allowed(const Kernels& k, const Row& row, const SamplingRow& options) {
  Ids ids = candidates(k, row, options);
  double total = row.total_weight;
  if (options.top_k > 0) {
    keep_top_k(row, static_cast<std::size_t>(options.top_k), ids);
    total = weight_of(row, ids);
  }
  if (options.top_p < 1) keep_top_p(row, static_cast<double>(options.top_p) * total, ids);
  const float least = std::min(options.min_p, 1.0F);
  std::erase_if(ids, [&](std::int32_t id) { return row.weights[id] < least; });
  return ids;
}

// The first token at which the running sum of weights passes `target`; the last one where rounding left
// target above the sum.
template <class IdOf>
std::int32_t token_at(const Row& row, double target, std::int64_t count, const IdOf& id_of) {
  double sum = 0;
  std::int32_t last = kNoToken;
  for (std::int64_t i = 0; i < count; i++) {
    const std::int32_t id = id_of(i);
    if (row.weights[id] == 0) continue;
    sum += static_cast<double>(row.weights[id]);
    last = id;
    if (sum > target) break;
  }
  return last;
}

std::int32_t draw(const Kernels& k, const Row& row, const SamplingRow& options) {
  const double position = uniform(options.seed, options.draw);
  if (options.top_k <= 0 && options.top_p >= 1 && options.min_p <= 0)
    return token_at(row, position * row.total_weight, row.v,
                    [](std::int64_t i) { return static_cast<std::int32_t>(i); });
  const Ids ids = allowed(k, row, options);
  return token_at(row, position * weight_of(row, ids), static_cast<std::int64_t>(ids.size()),
                  [&](std::int64_t i) { return ids[static_cast<std::size_t>(i)]; });
}

// Returns the logits of the penalized ids as they were.
std::vector<float> apply_penalties(float* logits, const SamplingRow& options) {
  std::vector<float> before;
  if (options.repetition_penalty != 1)
    for (const std::int32_t id : options.penalized_ids) {
      before.push_back(logits[id]);
      logits[id] =
          logits[id] > 0 ? logits[id] / options.repetition_penalty : logits[id] * options.repetition_penalty;
    }
  for (const std::int32_t id : options.banned_ids) logits[id] = -kInfinity;
  return before;
}

// logits: [v], penalties applied. weights: scratch [v].
std::int32_t sample_row(const Kernels& k, const float* logits, float* weights, std::int64_t v,
                        const SamplingRow& options) {
  const float max = k.max(logits, v);
  if (std::isnan(max) || max == -kInfinity) return kNoToken;
  if (options.temperature <= 0 || max == kInfinity)
    return static_cast<std::int32_t>(std::find(logits, logits + v, max) - logits);
  const float scale = std::min(1 / options.temperature, std::numeric_limits<float>::max());
  const double total_weight = k.exp(logits, max, scale, v, weights);
  return draw(k, {logits, weights, v, total_weight}, options);
}

}  // namespace

void sample(Ctx& ctx, const View& logits, std::span<const SamplingRow> rows, std::span<std::int32_t> tokens,
            std::span<float> logprobs) {
  constexpr std::int64_t kRowCost = 8;
  const Workspace::Scope scope(*ctx.workspace);
  const Kernels& k = kernels(ctx.cpu_isa);
  const std::int64_t v = logits.dim(1);
  const View weights = ctx.workspace->take(DType::f32, {logits.dim(0), v});
  parallel_rows(ctx, logits.dim(0), v * kRowCost, [&](std::int64_t row) {
    const auto i = static_cast<std::size_t>(row);
    float* x = logits.row<float>(row);
    double log_sum = 0;
    if (!logprobs.empty()) {
      const float max = k.max(x, v);
      log_sum = static_cast<double>(max) + std::log(k.sum_exp(x, max, v));
    }
    const std::vector<float> before = apply_penalties(x, rows[i]);
    const std::int32_t token = tokens[i] = sample_row(k, x, weights.row<float>(row), v, rows[i]);
    if (logprobs.empty()) return;
    float logit = token == kNoToken ? std::numeric_limits<float>::quiet_NaN() : x[token];
    for (std::size_t j = 0; j < before.size(); j++)
      if (rows[i].penalized_ids[j] == token) logit = before[j];
    logprobs[i] = static_cast<float>(static_cast<double>(logit) - log_sum);
  });
}

}  // namespace lmdeploy::ops::cpu
