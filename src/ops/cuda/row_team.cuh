#pragma once
// One row of logits shared by a team of thread blocks: a cluster on devices that have clusters, else one
// block. Every warp has a contiguous part of the row; parts ascend with the block's rank and the warp. Teams
// exchange integers only, whose sums and maxima are the same in any order: a result depends neither on the
// size of a team nor on which block was first.
#include <cstdint>

#include "ops/cuda/block_reduce.cuh"
#include "ops/cuda/chained_launch.cuh"
#include "ops/cuda/cluster.cuh"

namespace lmdeploy::ops::cuda {

inline constexpr int kTeamThreads = 512;
inline constexpr int kTeamWarps = kTeamThreads / kWarpLen;
inline constexpr int kMaxTeamSize = 8;  // the largest cluster that every device with clusters has

// Two numbers that travel together.
struct alignas(16) Pair {
  std::uint64_t first, second;
};
__device__ inline Pair from_lane_xor(const Pair& value, int mask) {
  return {from_lane_xor(value.first, mask), from_lane_xor(value.second, mask)};
}
struct AddPairs {
  __device__ Pair operator()(const Pair& a, const Pair& b) const {
    return {a.first + b.first, a.second + b.second};
  }
};
struct LargerOfPairs {
  __device__ Pair operator()(const Pair& a, const Pair& b) const {
    return {Larger{}(a.first, b.first), Larger{}(a.second, b.second)};
  }
};

// Ids [begin, end).
struct RowPart {
  int begin, end;
};

class RowTeam {
 public:
  struct Memory {  // shared
    Pair of_warps[kTeamWarps];
    Pair of_block[2];
    std::uint64_t scanned[kTeamWarps];
  };

  __device__ RowTeam(Memory& memory, int v)
      : memory_(memory), v_(v), size_(cluster_size()), rank_(cluster_rank()) {
    const int num_parts = size_ * kTeamWarps;
    part_len_ = (v + num_parts * kWarpLen - 1) / (num_parts * kWarpLen) * kWarpLen;
  }

  __device__ int size() const { return size_; }
  __device__ std::int64_t row() const { return blockIdx.x / static_cast<unsigned>(size_); }
  __device__ bool is_first_thread() const { return rank_ == 0 && threadIdx.x == 0; }
  // Of one of this block's warps.
  __device__ RowPart part(int warp) const {
    const int begin = at_most_v((rank_ * kTeamWarps + warp) * part_len_);
    return {begin, at_most_v(begin + part_len_)};
  }
  __device__ RowPart block_part() const { return {part(0).begin, part(kTeamWarps - 1).end}; }

  // f(x[id], id) for all ids of the warp's part, by any lane. kAtOnce: loads under way, more where they come
  // from farther than the nearest cache.
  template <int kAtOnce = 4, class F>
  __device__ void for_each(const float* x, const F& f) const {
    const RowPart own = part(warp_of_thread());
#pragma unroll 1  // kernels that run once a step wait for every instruction that they fetch
    for (int first = own.begin + lane_of_thread(); first < own.end; first += kAtOnce * kWarpLen) {
      float held[kAtOnce];
#pragma unroll
      for (int i = 0; i < kAtOnce; i++)
        if (first + i * kWarpLen < own.end) held[i] = x[first + i * kWarpLen];
#pragma unroll
      for (int i = 0; i < kAtOnce; i++)
        if (first + i * kWarpLen < own.end) f(held[i], first + i * kWarpLen);
    }
  }

  // Waits for all threads of the team; what they wrote to shared memory is seen by all.
  __device__ void sync() const { sync_cluster(); }
  // The shared variable of another block. That block may neither change it before the next sync() nor end.
  template <class T>
  __device__ const T& of_rank(T& shared, int rank) const {
    return shared_of_rank(shared, rank);
  }

  // Over all threads of the team, in every thread. op(x, {0, 0}) is x. lower_ranks: over the blocks before
  // this one.
  template <class Op>
  __device__ Pair reduce(Pair value, const Op& op, Pair* lower_ranks = nullptr) {
    // Two of them by turns: who reads the other one is past it when the next sync() ends.
    Pair& of_block = memory_.of_block[turn_];
    turn_ ^= 1;
    value = reduce_warp(value, op);
    if (lane_of_thread() == 0) memory_.of_warps[warp_of_thread()] = value;
    __syncthreads();
    if (warp_of_thread() == 0) {
      value =
          reduce_warp(lane_of_thread() < kTeamWarps ? memory_.of_warps[lane_of_thread()] : Pair{0, 0}, op);
      if (lane_of_thread() == 0) of_block = value;
    }
    sync();
    Pair all{0, 0};
#pragma unroll 1
    for (int rank = 0; rank < size_; rank++) {
      if (rank == rank_ && lower_ranks != nullptr) *lower_ranks = all;
      all = op(all, of_rank(of_block, rank));
    }
    return all;
  }
  // What the last reduce() had of one of this block's warps.
  __device__ const Pair& of_warp(int warp) const { return memory_.of_warps[warp]; }

  // Of the block's threads up to this one. A barrier must lie between two calls.
  __device__ std::uint64_t block_inclusive_sum(std::uint64_t value) {
#pragma unroll
    for (int distance = 1; distance < kWarpLen; distance *= 2) {
      const std::uint64_t other = __shfl_up_sync(kAllLanes, value, distance);
      if (lane_of_thread() >= distance) value += other;
    }
    if (lane_of_thread() == kWarpLen - 1) memory_.scanned[warp_of_thread()] = value;
    __syncthreads();
#pragma unroll 1
    for (int warp = 0; warp < warp_of_thread(); warp++) value += memory_.scanned[warp];
    return value;
  }

 private:
  __device__ int at_most_v(int id) const { return id < v_ ? id : v_; }

  Memory& memory_;
  int v_;
  int size_, rank_;
  int part_len_ = 0;
  int turn_ = 0;
};

// Launches a kernel of kTeamThreads threads that makes a RowTeam of every row of v logits, and that waits for
// its predecessor.
template <class Arguments>
cudaError_t launch_row_teams(void (*kernel)(Arguments), const Arguments& arguments, std::int64_t num_rows,
                             int v, cudaStream_t stream) {
  constexpr int kIdsPerBlock = 4096;  // fewer are not worth another block
  // Code for less than sm_90 knows neither clusters nor predecessors.
  const bool chained = waits_for_predecessor(kernel);
  const int largest = chained ? kMaxTeamSize : 1;
  int size = 1;
  while (size < largest && v > size * kIdsPerBlock) size *= 2;

  cudaLaunchAttribute attributes[2]{overlap_attribute()};
  attributes[1].id = cudaLaunchAttributeClusterDimension;
  attributes[1].val.clusterDim.x = static_cast<unsigned>(size);
  attributes[1].val.clusterDim.y = 1;
  attributes[1].val.clusterDim.z = 1;
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(static_cast<unsigned>(num_rows * size));
  config.blockDim = dim3(kTeamThreads);
  config.stream = stream;
  config.attrs = attributes;
  config.numAttrs = !chained ? 0 : size > 1 ? 2 : 1;
  return cudaLaunchKernelEx(&config, kernel, arguments);
}

}  // namespace lmdeploy::ops::cuda
