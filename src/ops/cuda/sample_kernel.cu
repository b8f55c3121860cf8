#include <cfloat>

#include "ops/cuda/row_team.cuh"
#include "ops/cuda/sample_kernel.h"
#include "ops/cuda/token_weights.cuh"

namespace lmdeploy::ops::cuda {
namespace {

constexpr std::int32_t kNoToken = -1;
constexpr int kFirstLoads = 8;  // of a thread at once, when the row is read for the first time

// In the CPU's order of roundings, hence without fused multiply-adds.
__device__ float adjusted(int kind, float logit, float value, const DeviceSamplingRow& row) {
  switch (kind) {
    case kBias:
      return logit + value;
    case kRepetition:
      return logit > 0 ? logit / row.repetition_penalty : logit * row.repetition_penalty;
    case kAnswer:
      return __fsub_rn(__fsub_rn(logit, row.presence_penalty), __fmul_rn(row.frequency_penalty, value));
    default:
      return -INFINITY;
  }
}

// One warp reads a word at once: its lanes have ids that follow each other.
__device__ bool is_allowed(const std::uint32_t* mask, int id) {
  return mask == nullptr || (mask[id / 32] >> (id % 32) & 1) != 0;
}

// The row's logits with everything applied that concerns single tokens. Each block makes its own part, which
// no other block reads.
__device__ const float* adjusted_row(const RowTeam& team, const SampleArguments& a,
                                     const DeviceSamplingRow& row) {
  const float* logits = a.logits + team.row() * a.row_stride;
  if (row.copy_idx < 0) return logits;
  float* copy = a.copies + static_cast<std::int64_t>(row.copy_idx) * a.v;
  const std::uint32_t* mask = row.first_word < 0 ? nullptr : a.masks + row.first_word;
  team.for_each<kFirstLoads>(
      logits, [&](float logit, int id) { copy[id] = is_allowed(mask, id) ? logit : -INFINITY; });
  const RowPart own = team.block_part();
  const AdjustedId* begin = a.adjusted + row.first_adjusted;
#pragma unroll
  for (int kind = 0; kind < kNumAdjustments; kind++) {
    __syncthreads();
    for (int i = static_cast<int>(threadIdx.x); i < row.num_adjusted[kind]; i += kTeamThreads) {
      const AdjustedId at = begin[i];
      if (at.id >= own.begin && at.id < own.end) copy[at.id] = adjusted(kind, copy[at.id], at.value, row);
    }
    begin += row.num_adjusted[kind];
  }
  __syncthreads();
  return copy;
}

// The highest logit, the lowest id among equals. NaN is above all.
struct Peak {
  float logit;
  std::int32_t id;
};
__device__ Peak peak_of(RowTeam& team, const float* x) {
  Pair best{0, 0};
  team.for_each<kFirstLoads>(x, [&](float logit, int id) {
    const std::uint64_t each =
        (static_cast<std::uint64_t>(ascending_bits(logit)) << 32) | ~static_cast<unsigned>(id);
    best.first = Larger{}(best.first, each);
  });
  best = team.reduce(best, LargerOfPairs{});
  if (best.first == 0) return {-INFINITY, kNoToken};  // no logits
  return {float_of_ascending(static_cast<unsigned>(best.first >> 32)),
          static_cast<std::int32_t>(~static_cast<unsigned>(best.first))};
}

class Draw {
 public:
  __device__ Draw(RowTeam& team, Histogram& histogram, const float* x, const TokenWeights& weights)
      : team_(team), histogram_(histogram), x_(x), weights_(weights) {}

  // Ties of the k-th logit stay.
  __device__ void limit_top_k(std::uint64_t top_k) {
    weights_.last_rank =
        kIdMask | key_reaching(
                      team_, histogram_, x_, top_k, [&](float logit, int id) { return rank(logit, id); },
                      [](float, int) { return std::uint64_t{1}; });
  }

  __device__ void limit_top_p(float top_p) {
    const std::uint64_t target = share_of(sums().first, top_p);
    weights_.last_rank = key_reaching(
        team_, histogram_, x_, target, [&](float logit, int id) { return rank(logit, id); },
        [&](float logit, int) { return weights_.units(logit); });
  }

  __device__ void limit_min_p(float min_p) { weights_.least_weight = fminf(min_p, 1.0F); }

  __device__ void limit_typical_p(float typical_p) {
    const Pair sums_of_allowed = sums();
    weights_.mean_surprise =
        static_cast<double>(sums_of_allowed.second) / static_cast<double>(sums_of_allowed.first);
    weights_.last_typical = key_reaching(
        team_, histogram_, x_, share_of(sums_of_allowed.first, typical_p),
        [&](float logit, int id) {
          return weights_.allowed_units(logit, id) > 0 ? weights_.typical_rank(logit, id) : kNoKey;
        },
        [&](float logit, int) { return weights_.units(logit); });
  }

  // The first token at which the running sum of weights passes `position` of all.
  __device__ void write_token(double position, std::int32_t* token) {
    std::uint64_t own = 0;
    team_.for_each(x_, [&](float logit, int id) { own += weights_.allowed_units(logit, id); });
    Pair before;
    const std::uint64_t total = team_.reduce({own, 0}, AddPairs{}, &before).first;
    std::uint64_t target = static_cast<std::uint64_t>(position * static_cast<double>(total));
    if (target >= total) target = total - 1;
    std::uint64_t sum = before.first;
#pragma unroll 1
    for (int warp = 0; warp < kTeamWarps; warp++) {
      const std::uint64_t through = sum + team_.of_warp(warp).first;
      if (sum <= target && target < through) return write_token_of(team_.part(warp), sum, target, token);
      sum = through;
    }
  }

 private:
  // Unless an earlier limit has taken it away.
  __device__ std::uint64_t rank(float logit, int id) const {
    const std::uint64_t key = weights_.rank(logit, id);
    return key <= weights_.last_rank ? key : kNoKey;
  }

  // Of the allowed tokens' weights, and of their surprises times weights.
  __device__ Pair sums() {
    Pair sums{0, 0};
    team_.for_each(x_, [&](float logit, int id) {
      const std::uint64_t units = weights_.allowed_units(logit, id);
      if (units == 0) return;
      const float e = weights_.exponent(logit);
      sums = AddPairs{}(sums, {units, TokenWeights::in_units(expf(e) * -e)});
    });
    return team_.reduce(sums, AddPairs{});
  }

  __device__ static std::uint64_t share_of(std::uint64_t total, float share) {
    const double wanted = ceil(static_cast<double>(share) * static_cast<double>(total));
    if (!(wanted >= 1)) return 1;
    const auto units = static_cast<std::uint64_t>(wanted);
    return units < total ? units : total;
  }

  // By all threads of one block, each of which has a few of the part's ids.
  __device__ void write_token_of(RowPart part, std::uint64_t before, std::uint64_t target,
                                 std::int32_t* token) {
    const int share = (part.end - part.begin + kTeamThreads - 1) / kTeamThreads;
    const int begin = min(part.begin + static_cast<int>(threadIdx.x) * share, part.end);
    const int end = min(begin + share, part.end);
    std::uint64_t own = 0;
#pragma unroll 1
    for (int id = begin; id < end; id++) own += weights_.allowed_units(x_[id], id);
    std::uint64_t sum = before + team_.block_inclusive_sum(own);
    if (sum <= target || sum - own > target) return;
    sum -= own;
#pragma unroll 1
    for (int id = begin; id < end; id++) {
      sum += weights_.allowed_units(x_[id], id);
      if (sum <= target) continue;
      *token = id;
      return;
    }
  }

  RowTeam& team_;
  Histogram& histogram_;
  const float* x_;
  TokenWeights weights_;
};

__global__ void __launch_bounds__(kTeamThreads, 2) sample_rows(const SampleArguments a) {
  enter_chain();
  __shared__ RowTeam::Memory team_memory;
  __shared__ Histogram histogram;
  RowTeam team(team_memory, a.v);
  const DeviceSamplingRow& row = a.rows[team.row()];
  const float* x = adjusted_row(team, a, row);
  const Peak peak = peak_of(team, x);
  std::int32_t* token = a.tokens + team.row();
  if (!(peak.logit > -INFINITY)) {  // NaN, or nothing that may be drawn
    if (team.is_first_thread()) *token = kNoToken;
  } else if (row.greedy != 0 || peak.logit == INFINITY) {
    if (team.is_first_thread()) *token = peak.id;
  } else {
    TokenWeights weights{};
    weights.max = peak.logit;
    weights.scale = row.scale;
    Draw draw(team, histogram, x, weights);
    if (row.top_k > 0) draw.limit_top_k(static_cast<std::uint64_t>(row.top_k));
    if (row.top_p < 1) draw.limit_top_p(row.top_p);
    if (row.min_p > 0) draw.limit_min_p(row.min_p);
    if (row.typical_p < 1) draw.limit_typical_p(row.typical_p);
    draw.write_token(row.position, token);
  }
  team.sync();  // no block ends while others read its sums
}

}  // namespace

cudaError_t launch_sample(const SampleArguments& arguments, cudaStream_t stream) {
  if (arguments.num_rows == 0) return cudaSuccess;
  return launch_row_teams(sample_rows, arguments, arguments.num_rows, arguments.v, stream);
}

}  // namespace lmdeploy::ops::cuda
