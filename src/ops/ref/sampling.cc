#include "ops/ref/sampling.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace lmdeploy::ops::ref {
namespace {

using Values = std::vector<double>;

std::size_t idx(std::int64_t i) {
  return static_cast<std::size_t>(i);
}

void adjust(Values& logits, const SamplingOptions& options) {
  for (const auto& [id, bias] : options.logit_bias) logits[idx(id)] += bias;
  for (const std::int32_t id : options.penalized_ids) {
    double& x = logits[idx(id)];
    x = x > 0 ? x / options.repetition_penalty : x * options.repetition_penalty;
  }
  for (const auto& [id, count] : options.answer_counts) {
    logits[idx(id)] -= static_cast<double>(count) * options.frequency_penalty;
    if (count > 0) logits[idx(id)] -= options.presence_penalty;
  }
  for (const std::int32_t id : options.banned_ids) logits[idx(id)] = -std::numeric_limits<double>::infinity();
}

void normalize(Values& p) {
  const double total = std::accumulate(p.begin(), p.end(), 0.0);
  for (double& x : p) x /= total;
}

// Ids by ascending key.
std::vector<std::size_t> sorted_by(const Values& key) {
  std::vector<std::size_t> order(key.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return key[a] < key[b]; });
  return order;
}

std::vector<std::size_t> most_likely_first(const Values& p) {
  Values key;
  for (const double x : p) key.push_back(-x);
  return sorted_by(key);
}

// Keeps the first of `order` until their probabilities add up to `share`.
void truncate(Values& p, const std::vector<std::size_t>& order, double share) {
  double before = 0;
  for (const std::size_t i : order) {
    const double own = p[i];
    if (before > 0 && before >= share) p[i] = 0;
    before += own;
  }
  normalize(p);
}

void keep_top_k(Values& p, std::int64_t top_k) {
  if (top_k == 0 || top_k >= std::ssize(p)) return;
  const double kth = p[most_likely_first(p)[idx(top_k) - 1]];
  for (double& x : p)
    if (x < kth) x = 0;
  normalize(p);
}

void keep_min_p(Values& p, double min_p) {
  const double least = min_p * *std::max_element(p.begin(), p.end());
  for (double& x : p)
    if (x < least) x = 0;
  normalize(p);
}

void keep_typical(Values& p, double typical_p) {
  double entropy = 0;
  for (const double x : p)
    if (x > 0) entropy -= x * std::log(x);
  Values distance;
  for (const double x : p)
    distance.push_back(x > 0 ? std::abs(-std::log(x) - entropy) : std::numeric_limits<double>::infinity());
  truncate(p, sorted_by(distance), typical_p);
}

}  // namespace

std::vector<double> sampling_distribution(std::vector<double> logits, const SamplingOptions& options) {
  adjust(logits, options);
  const auto peak = std::max_element(logits.begin(), logits.end());
  Values p(logits.size(), 0.0);
  if (options.temperature == 0) {
    p[idx(peak - logits.begin())] = 1;
    return p;
  }
  for (std::size_t i = 0; i < p.size(); i++) p[i] = std::exp((logits[i] - *peak) / options.temperature);
  normalize(p);
  keep_top_k(p, options.top_k);
  if (options.top_p < 1) truncate(p, most_likely_first(p), options.top_p);
  keep_min_p(p, options.min_p);
  if (options.typical_p < 1) keep_typical(p, options.typical_p);
  return p;
}

}  // namespace lmdeploy::ops::ref
