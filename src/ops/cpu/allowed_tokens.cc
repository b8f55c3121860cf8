#include "ops/cpu/allowed_tokens.h"

#include <algorithm>
#include <cmath>

#include "ops/cpu/block_maxima.h"

namespace lmdeploy::ops::cpu {
namespace {

using Ids = std::vector<std::int32_t>;

// A logit below which no token is allowed. It need not be tight: it only makes the rest short.
float lowest_allowed(const WeightedRow& row, const SamplingRow& options, const BlockMaxima& maxima) {
  if (options.top_k > 0) return maxima.reached_by(options.top_k);
  // Tokens of this weight and less add up to at most 1 - top_p of all, so top_p is reached before them.
  const double rest = std::max(0.0, 1 - static_cast<double>(options.top_p));
  const double least = std::max(0.5 * rest * row.total_weight / static_cast<double>(row.v),
                                0.5 * std::min(1.0, static_cast<double>(options.min_p)));
  return static_cast<float>(static_cast<double>(row.max) +
                            std::log(least) * static_cast<double>(options.temperature));
}

// The higher logit, the lower id among equals.
auto by_logit(const WeightedRow& row) {
  return [&row](std::int32_t a, std::int32_t b) {
    return row.logits[a] != row.logits[b] ? row.logits[a] > row.logits[b] : a < b;
  };
}

// Ties of the k-th logit stay.
void keep_top_k(const WeightedRow& row, std::size_t top_k, Ids& ids) {
  if (top_k >= ids.size()) return;
  const auto kth = ids.begin() + static_cast<std::ptrdiff_t>(top_k) - 1;
  std::nth_element(ids.begin(), kth, ids.end(), by_logit(row));
  const float lowest = row.logits[*kth];
  std::erase_if(ids, [&](std::int32_t id) { return row.logits[id] < lowest; });
}

// The fewest tokens, from the first of the order on, whose weights reach `target`. By halving: what is still
// in question is divided at its median, so nothing has to be sorted.
template <class Order>
void keep_weight(const WeightedRow& row, double target, const Order& goes_before, Ids& ids) {
  auto begin = ids.begin(), end = ids.end();
  double before = 0;  // the weight of the ids up to `begin`, which all stay
  while (end - begin > 1) {
    const auto middle = begin + (end - begin) / 2;
    std::nth_element(begin, middle, end, goes_before);
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

double log_weight(const WeightedRow& row, std::int32_t id) {
  return (static_cast<double>(row.logits[id]) - static_cast<double>(row.max)) *
         static_cast<double>(row.scale);
}

// The sum of weight * log weight.
template <class IdOf>
double log_weight_sum(const WeightedRow& row, std::int64_t count, const IdOf& id_of) {
  double sum = 0;
  for (std::int64_t i = 0; i < count; i++) {
    const std::int32_t id = id_of(i);
    if (row.weights[id] > 0) sum += static_cast<double>(row.weights[id]) * log_weight(row, id);
  }
  return sum;
}

// Meister et al. 2022: those first whose surprise -log p is nearest to its mean, the entropy. Both have the
// same offset from the logarithms of the weights, whose mean is given here.
void keep_typical(const WeightedRow& row, double mean, double target, Ids& ids) {
  const auto nearer = [&](std::int32_t a, std::int32_t b) {
    const double from_a = std::abs(log_weight(row, a) - mean), from_b = std::abs(log_weight(row, b) - mean);
    return from_a != from_b ? from_a < from_b : by_logit(row)(a, b);
  };
  keep_weight(row, target, nearer, ids);
}

// Where nothing else limits the tokens.
Ids typical_of_all(const WeightedRow& row, const SamplingRow& options, const BlockMaxima& maxima) {
  const double mean =
      log_weight_sum(row, row.v, [](std::int64_t i) { return static_cast<std::int32_t>(i); }) /
      row.total_weight;
  const double rest = 1 - static_cast<double>(options.typical_p);
  const double least = std::log(0.5 * rest * row.total_weight / static_cast<double>(row.v));
  // Below both: rarer tokens than this do not matter for the sum, as above; and they are farther from the
  // mean than the likeliest token is, so all likelier ones come before them.
  const double lowest = std::min(least, 2 * mean - 0.01);
  Ids ids = maxima.ids_from(
      static_cast<float>(static_cast<double>(row.max) + lowest * static_cast<double>(options.temperature)));
  std::erase_if(ids, [&](std::int32_t id) { return row.weights[id] == 0; });
  keep_typical(row, mean, static_cast<double>(options.typical_p) * row.total_weight, ids);
  std::sort(ids.begin(), ids.end());
  return ids;
}

bool limits_by_rank(const SamplingRow& options) {
  return options.top_k > 0 || options.top_p < 1 || options.min_p > 0;
}

}  // namespace

bool limits_tokens(const SamplingRow& options) {
  return limits_by_rank(options) || options.typical_p < 1;
}

double weight_of(const WeightedRow& row, std::span<const std::int32_t> ids) {
  double sum = 0;
  for (const std::int32_t id : ids) sum += static_cast<double>(row.weights[id]);
  return sum;
}

Ids allowed_tokens(const Kernels& k, const WeightedRow& row, const SamplingRow& options) {
  const BlockMaxima maxima(k, row.logits, row.v);
  if (!limits_by_rank(options)) return typical_of_all(row, options, maxima);
  Ids ids = maxima.ids_from(lowest_allowed(row, options, maxima));
  std::erase_if(ids, [&](std::int32_t id) { return row.weights[id] == 0; });
  double total = row.total_weight;
  if (options.top_k > 0) {
    keep_top_k(row, static_cast<std::size_t>(options.top_k), ids);
    total = weight_of(row, ids);
  }
  if (options.top_p < 1) keep_weight(row, static_cast<double>(options.top_p) * total, by_logit(row), ids);
  // The most likely token has weight 1, so min_p is itself the least weight.
  const float least = std::min(options.min_p, 1.0F);
  std::erase_if(ids, [&](std::int32_t id) { return row.weights[id] < least; });
  if (options.typical_p < 1) {
    total = weight_of(row, ids);
    const double sum = log_weight_sum(row, std::ssize(ids),
                                      [&](std::int64_t i) { return ids[static_cast<std::size_t>(i)]; });
    keep_typical(row, sum / total, static_cast<double>(options.typical_p) * total, ids);
  }
  std::sort(ids.begin(), ids.end());  // the draw goes through them: in the same order on every device
  return ids;
}

}  // namespace lmdeploy::ops::cpu
