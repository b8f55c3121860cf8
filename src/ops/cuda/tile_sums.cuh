#pragma once
// How the blocks of a kernel of few tokens go over the tiles of 16 outputs, and what they do with the sums.
#include "ops/cuda/mma_tiles.cuh"
#include "ops/cuda/silu.cuh"

namespace lmdeploy::ops::cuda {

// The steps of a block: a tile each; where gate and up are multiplied (LinearOutput::gated) a tile of gate
// and then the same of up.
struct TileSteps {
  std::uint32_t num_tasks = 0;  // tiles, or pairs of them
  std::uint32_t up_tile = 0;    // the first of up
  std::uint32_t shift = 0;      // a task has 1 << shift steps

  std::uint32_t per_block = 0, longer_blocks = 0;  // tasks, and blocks, the first, that have one more

  __device__ std::uint32_t begin(std::uint32_t block) const {
    return (block * per_block + min(block, longer_blocks)) << shift;
  }
  __device__ std::uint32_t tile(std::uint32_t step) const {
    return (step >> shift) + (step & shift) * up_tile;
  }
  // Between tiles that are best computed together: of a task, or neighbours.
  __device__ std::uint32_t pair_distance() const { return shift == 0 ? 1 : up_tile; }
  __device__ bool ends_task(std::uint32_t step) const { return (step & shift) == shift; }
};

// num_blocks: of the kernel; fewer where there are fewer tasks.
inline TileSteps tile_steps(std::int64_t num_tiles, bool is_gated, int& num_blocks) {
  TileSteps steps;
  steps.shift = is_gated ? 1 : 0;
  steps.num_tasks = static_cast<std::uint32_t>(num_tiles) >> steps.shift;
  steps.up_tile = is_gated ? steps.num_tasks : 0;
  if (steps.num_tasks < static_cast<std::uint32_t>(num_blocks))
    num_blocks = static_cast<int>(steps.num_tasks);
  steps.per_block = steps.num_tasks / static_cast<std::uint32_t>(num_blocks);
  steps.longer_blocks = steps.num_tasks % static_cast<std::uint32_t>(num_blocks);
  return steps;
}

// Sums over a block's warps, in their order, what each has of a tile, and writes the outputs of a task. Tasks
// are finished one after another, the sum by another warp each time. Two of them are in flight: whoever
// writes to the place of the next but one has passed the barrier that comes after the last reading of it.
template <class T>
class TileSums {
 public:
  // Of shared memory. num_tiles: that are held, 1 or 2 for finish(), 2 pairs_at_once for finish_pair().
  static __host__ __device__ constexpr int num_float4s(int num_warps, int m, int num_tiles) {
    return 2 * num_tiles * num_warps * sum_lanes(m);
  }

  __device__ TileSums(float4* partial, const TileSteps& steps, int m, std::int64_t n, const LinearOutput& out,
                      unsigned pairs_at_once = 1)
      : partial_(partial), steps_(steps), out_(out), n_(n), m_(m), pairs_at_once_(pairs_at_once) {}

  // Every thread of the block calls it, for each step.
  __device__ void finish(const float (&mine)[4], std::uint32_t step) {
    const unsigned lane = threadIdx.x % 32, warp = threadIdx.x / 32, num_warps = blockDim.x / 32;
    const int lanes = sum_lanes(m_), at = static_cast<int>(lane % 4 * 8 + lane / 4);
    const std::uint32_t place = step & ((2U << steps_.shift) - 1);
    float4* tile = partial_ + place * num_warps * lanes + at;
    if (at < lanes) tile[warp * lanes] = {mine[0], mine[1], mine[2], mine[3]};
    if (!steps_.ends_task(step)) return;
    const bool is_mine = warp == turn_ && at < lanes;
    turn_ = turn_ + 1 == num_warps ? 0 : turn_ + 1;
    float before[4] = {};
    if (is_mine && out_.accumulate) load_outputs(steps_.tile(step), before);
    __syncthreads();
    if (!is_mine) return;
    const float4 sum = sum_of_warps(tile);
    if (steps_.shift == 0)
      write(steps_.tile(step), sum, before);
    else
      write_gated(step >> 1, sum_of_warps(tile - num_warps * lanes), sum);
  }

  // The same for steps `step` and, of two tiles, step + 1, where first is the block's first step. Pairs are
  // held until there are pairs_at_once, a power of two, or the block's last; then each task is summed by a
  // warp of its own, the first ones and the last ones in turn.
  __device__ void finish_pair(const float (&lower)[4], const float (&upper)[4], std::uint32_t step,
                              std::uint32_t first, std::uint32_t end) {
    const unsigned lane = threadIdx.x % 32, warp = threadIdx.x / 32, num_warps = blockDim.x / 32;
    const int lanes = sum_lanes(m_), at = static_cast<int>(lane % 4 * 8 + lane / 4);
    const unsigned pair = (step - first) / 2, tile_float4s = num_warps * lanes;
    float4* tiles = partial_ + (pair & (2 * pairs_at_once_ - 1)) * 2 * tile_float4s + at;
    if (at < lanes) {
      tiles[warp * lanes] = {lower[0], lower[1], lower[2], lower[3]};
      tiles[tile_float4s + warp * lanes] = {upper[0], upper[1], upper[2], upper[3]};
    }
    const unsigned held = pair & (pairs_at_once_ - 1);  // before this one
    if (held + 1 < pairs_at_once_ && step + 2 < end) return;
    const bool is_turned = (pair & pairs_at_once_) != 0;
    const std::uint32_t first_task = (step - 2 * held) >> steps_.shift,
                        num_tasks = (min(step + 2, end) >> steps_.shift) - first_task;
    const unsigned mine = is_turned ? num_warps - 1 - warp : warp;  // of the tasks
    const bool has_task = mine < num_tasks && at < lanes;
    float before[4] = {};
    if (has_task && out_.accumulate) load_outputs(first_task + mine, before);
    __syncthreads();
    if (!has_task) return;
    tiles -= held * 2 * tile_float4s;
#pragma unroll 1
    for (unsigned task = mine; task < num_tasks; task += num_warps) {
      const float4 sum = sum_of_warps(tiles + (task << steps_.shift) * tile_float4s);
      if (steps_.shift != 0) {
        write_gated(first_task + task, sum, sum_of_warps(tiles + (2 * task + 1) * tile_float4s));
        continue;
      }
      if (task != mine && out_.accumulate) load_outputs(first_task + task, before);
      write(first_task + task, sum, before);
    }
  }

 private:
  // Lanes of tokens that there are; each has two.
  static __host__ __device__ constexpr int sum_lanes(int m) { return (m + 1) / 2 * 8; }

  __device__ float4 sum_of_warps(const float4* tile) const {
    const int lanes = sum_lanes(m_), num_warps = blockDim.x / 32;
    float4 sum{};
#pragma unroll 4
    for (int i = 0; i < num_warps; i++) {
      const float4 part = tile[i * lanes];
      sum.x += part.x, sum.y += part.y, sum.z += part.z, sum.w += part.w;
    }
    return sum;
  }

  // f(i, token, row) for the lane's outputs of a tile.
  template <class F>
  __device__ void for_outputs(std::uint32_t tile, const F& f) const {
    const std::int64_t first_row = std::int64_t{tile} * 16 + threadIdx.x % 32 / 4;
#pragma unroll
    for (int i = 0; i < 4; i++) {
      const int token = static_cast<int>(threadIdx.x % 4) * 2 + i % 2;
      const std::int64_t row = first_row + i / 2 * 8;
      if (token < m_ && row < n_) f(i, token, row);
    }
  }

  __device__ void load_outputs(std::uint32_t tile, float (&y)[4]) const {
    for_outputs(tile, [&](int i, int token, std::int64_t row) { y[i] = out_.y[token * out_.stride + row]; });
  }

  __device__ void write(std::uint32_t tile, const float4& sum, const float (&before)[4]) const {
    const float sums[4] = {sum.x, sum.y, sum.z, sum.w};
    for_outputs(tile, [&](int i, int token, std::int64_t row) {
      out_.y[token * out_.stride + row] = before[i] + output_of(out_, token, row, sums[i]);
    });
  }

  __device__ void write_gated(std::uint32_t tile, const float4& gate, const float4& up) const {
    const float gates[4] = {gate.x, gate.y, gate.z, gate.w}, ups[4] = {up.x, up.y, up.z, up.w};
    for_outputs(tile, [&](int i, int token, std::int64_t row) {
      const float activated = silu(output_of(out_, token, row, gates[i]));
      static_cast<T*>(out_.gated)[token * out_.stride + row] =
          from_float<T>(activated * output_of(out_, token, row + n_ / 2, ups[i]));
    });
  }

  float4* partial_;  // [2 in flight][tiles held][num_warps][sum_lanes(m)]
  const TileSteps& steps_;
  const LinearOutput& out_;
  std::int64_t n_;
  int m_;
  unsigned turn_ = 0;
  unsigned pairs_at_once_;
};

}  // namespace lmdeploy::ops::cuda
