#include "ops/cuda/key_selection.cuh"
#include "ops/cuda/logprobs_kernel.h"

namespace lmdeploy::ops::cuda {
namespace {

constexpr int kThreads = 512;

// A sum of exp(x - max) that moves along as the maximum rises.
struct RunningSum {
  float max = -INFINITY;
  double sum = 0;

  template <int kCount>
  __device__ void add(const float (&x)[kCount]) {
    float largest = x[0];
#pragma unroll
    for (int i = 1; i < kCount; i++) largest = fmaxf(largest, x[i]);
    if (largest > max) {
      sum *= exp(static_cast<double>(max) - static_cast<double>(largest));
      max = largest;
    }
    float added = 0;
#pragma unroll
    for (int i = 0; i < kCount; i++) added += x[i] == -INFINITY ? 0.0F : expf(x[i] - max);
    sum += static_cast<double>(added);
  }
};

// One block a row, whatever the number of rows: a sum of floats has one order.
__global__ void __launch_bounds__(kThreads)
    sums_of_rows(const LogitRows rows, const std::int32_t* targets, RowSum* sums) {
  constexpr int kAtOnce = 4;
  const std::int64_t row = blockIdx.x;
  const std::int32_t target = targets[row];
  if (target < 0) return;
  const float* x = rows.data + row * rows.row_stride;
  RunningSum own;
  for (int first = static_cast<int>(threadIdx.x); first < rows.v; first += kAtOnce * kThreads) {
    float held[kAtOnce];
#pragma unroll
    for (int i = 0; i < kAtOnce; i++)
      held[i] = first + i * kThreads < rows.v ? x[first + i * kThreads] : -INFINITY;
    own.add(held);
  }
  const float max = reduce_block<kThreads>(own.max, Larger{});
  // A thread that saw nothing but -inf has no maximum to go by.
  const double scaled =
      own.sum == 0 ? 0 : own.sum * exp(static_cast<double>(own.max) - static_cast<double>(max));
  const double sum = reduce_block<kThreads>(scaled, Add{});
  if (threadIdx.x == 0) sums[row] = {static_cast<double>(max) + log(sum), x[target]};
}

__global__ void __launch_bounds__(kTeamThreads, 2) top_logits_of_rows(const TopLogits a) {
  enter_chain();
  __shared__ RowTeam::Memory team_memory;
  __shared__ Histogram histogram;
  RowTeam team(team_memory, a.rows.v);
  const std::int32_t count = a.counts[team.row()];
  if (count == 0) return;  // the whole team
  const float* x = a.rows.data + team.row() * a.rows.row_stride;
  const auto rank = [](float logit, int id) {
    return (static_cast<std::uint64_t>(~ascending_bits(logit)) << 32) | static_cast<std::uint64_t>(id);
  };
  const std::uint64_t last = key_reaching(team, histogram, x, static_cast<std::uint64_t>(count), rank,
                                          [](float, int) { return std::uint64_t{1}; });

  std::uint64_t own = 0;
  team.for_each(x, [&](float logit, int id) { own += rank(logit, id) <= last ? 1 : 0; });
  Pair before;
  team.reduce({own, 0}, AddPairs{}, &before);
  IdLogit* to = a.tops + a.offsets[team.row()] + before.first;
  for (int warp = 0; warp < warp_of_thread(); warp++) to += team.of_warp(warp).first;

  const RowPart part = team.part(warp_of_thread());
  for (int first = part.begin; first < part.end; first += kWarpLen) {
    const int id = first + lane_of_thread();
    const float logit = id < part.end ? x[id] : 0.0F;
    const bool is_top = id < part.end && rank(logit, id) <= last;
    const unsigned tops = __ballot_sync(kAllLanes, is_top);
    const unsigned lower_lanes = (1U << lane_of_thread()) - 1;
    if (is_top) to[__popc(tops & lower_lanes)] = {id, logit};
    to += __popc(tops);
  }
  team.sync();  // no block ends while others read its sums
}

}  // namespace

cudaError_t launch_row_sums(const LogitRows& rows, const std::int32_t* targets, RowSum* sums,
                            cudaStream_t stream) {
  if (rows.num_rows == 0) return cudaSuccess;
  sums_of_rows<<<static_cast<unsigned>(rows.num_rows), kThreads, 0, stream>>>(rows, targets, sums);
  return cudaGetLastError();
}

cudaError_t launch_top_logits(const TopLogits& arguments, cudaStream_t stream) {
  if (arguments.rows.num_rows == 0) return cudaSuccess;
  return launch_row_teams(top_logits_of_rows, arguments, arguments.rows.num_rows, arguments.rows.v, stream);
}

}  // namespace lmdeploy::ops::cuda
