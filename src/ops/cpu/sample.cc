#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "ops/cpu/allowed_tokens.h"
#include "ops/cpu/cpu_ops.h"
#include "ops/cpu/parallel.h"
#include "ops/uniform.h"

namespace lmdeploy::ops::cpu {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr std::int32_t kNoToken = -1;

// The logits of one row with everything applied that concerns single tokens; as they were once this is gone.
class AdjustedLogits {
 public:
  AdjustedLogits(float* logits, const SamplingRow& options) : logits_(logits) {
    for (const IdBias& bias : options.logit_bias) set(bias.id, logits[bias.id] + bias.bias);
    if (options.repetition_penalty != 1)
      for (const std::int32_t id : options.penalized_ids)
        set(id, logits[id] > 0 ? logits[id] / options.repetition_penalty
                               : logits[id] * options.repetition_penalty);
    for (const IdCount& count : options.answer_counts)
      set(count.id, logits[count.id] - options.presence_penalty -
                        options.frequency_penalty * static_cast<float>(count.count));
    for (const std::int32_t id : options.banned_ids) set(id, -kInfinity);
  }
  // Backwards: the first of several changes to a token saw the original.
  ~AdjustedLogits() {
    for (auto change = before_.rbegin(); change != before_.rend(); ++change)
      logits_[change->first] = change->second;
  }
  AdjustedLogits(const AdjustedLogits&) = delete;
  AdjustedLogits& operator=(const AdjustedLogits&) = delete;

 private:
  void set(std::int32_t id, float logit) {
    before_.emplace_back(id, logits_[id]);
    logits_[id] = logit;
  }

  float* logits_;
  std::vector<std::pair<std::int32_t, float>> before_;
};

// logits: [v]. masked: [v], gets those that the mask allows and lowest ones for the others.
void mask_logits(const float* logits, std::span<const std::uint32_t> mask, std::int64_t v, float* masked) {
  constexpr std::int64_t kWordBits = 32;
  for (std::int64_t first = 0; first < v; first += kWordBits) {
    const std::uint32_t word = mask[static_cast<std::size_t>(first / kWordBits)];
    const std::int64_t count = std::min(kWordBits, v - first);
    if (word == 0)
      std::fill_n(masked + first, count, -kInfinity);
    else
      for (std::int64_t i = 0; i < count; i++)
        masked[first + i] = (word >> i & 1) != 0 ? logits[first + i] : -kInfinity;
  }
}

// The first token at which the running sum of weights passes `target`; the last one where rounding left
// target above the sum.
template <class IdOf>
std::int32_t token_at(const WeightedRow& row, double target, std::int64_t count, const IdOf& id_of) {
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

std::int32_t draw(const Kernels& k, const WeightedRow& row, const SamplingRow& options) {
  const double position = uniform(options.seed, options.draw);
  if (!limits_tokens(options))
    return token_at(row, position * row.total_weight, row.v,
                    [](std::int64_t i) { return static_cast<std::int32_t>(i); });
  const std::vector<std::int32_t> ids = allowed_tokens(k, row, options);
  return token_at(row, position * weight_of(row, ids), std::ssize(ids),
                  [&](std::int64_t i) { return ids[static_cast<std::size_t>(i)]; });
}

// logits: [v], adjusted. weights: scratch [v].
std::int32_t sample_row(const Kernels& k, const float* logits, float* weights, std::int64_t v,
                        const SamplingRow& options) {
  const float max = k.max(logits, v);
  if (std::isnan(max) || max == -kInfinity) return kNoToken;
  if (options.temperature <= 0 || max == kInfinity)
    return static_cast<std::int32_t>(std::find(logits, logits + v, max) - logits);
  const float scale = std::min(1 / options.temperature, std::numeric_limits<float>::max());
  const double total_weight = k.exp(logits, max, scale, v, weights);
  return draw(k, {logits, weights, v, max, scale, total_weight}, options);
}

}  // namespace

void sample(Ctx& ctx, const View& logits, std::span<const SamplingRow> rows, std::span<std::int32_t> tokens) {
  constexpr std::int64_t kRowCost = 8;
  const Workspace::Scope scope(*ctx.workspace);
  const Kernels& k = kernels(ctx.cpu_isa);
  const std::int64_t v = logits.dim(1);
  const View weights = ctx.workspace->take(DType::f32, {logits.dim(0), v});
  std::vector<std::int64_t> copy_idx;  // of rows with a mask; -1: none
  std::int64_t num_copies = 0;
  for (const SamplingRow& row : rows) copy_idx.push_back(row.allowed_mask.empty() ? -1 : num_copies++);
  const View copies = ctx.workspace->take(DType::f32, {num_copies, v});
  parallel_rows(ctx, logits.dim(0), v * kRowCost, [&](std::int64_t row) {
    const auto i = static_cast<std::size_t>(row);
    float* x = logits.row<float>(row);
    if (copy_idx[i] >= 0) {
      float* masked = copies.row<float>(copy_idx[i]);
      mask_logits(x, rows[i].allowed_mask, v, masked);
      x = masked;
    }
    const AdjustedLogits adjusted(x, rows[i]);
    tokens[i] = sample_row(k, x, weights.row<float>(row), v, rows[i]);
  });
}

}  // namespace lmdeploy::ops::cpu
