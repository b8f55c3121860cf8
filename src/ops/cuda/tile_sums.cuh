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
  // Of shared memory.
  static __host__ __device__ constexpr int num_float4s(int num_warps, int m, bool is_gated) {
    return (is_gated ? 4 : 2) * num_warps * sum_lanes(m);
  }

  __device__ TileSums(float4* partial, const TileSteps& steps, int m, std::int64_t n, const LinearOutput& out)
      : partial_(partial), steps_(steps), out_(out), n_(n), m_(m) {}

  // Every thread of the block calls it.
  __device__ void finish(const float (&mine)[4], std::uint32_t step) {
    const unsigned lane = threadIdx.x % 32, warp = threadIdx.x / 32, num_warps = blockDim.x / 32;
    const int lanes = sum_lanes(m_), at = static_cast<int>(lane % 4 * 8 + lane / 4);
    const std::uint32_t place = step & ((2U << steps_.shift) - 1);
    float4* tile = partial_ + place * num_warps * lanes + at;
    if (at < lanes) tile[warp * lanes] = {mine[0], mine[1], mine[2], mine[3]};
    if (!steps_.ends_task(step)) return;
    const bool is_mine = warp == turn_ && at < lanes;
    turn_ = turn_ + 1 == num_warps ? 0 : turn_ + 1;
    __syncthreads();
    if (!is_mine) return;
    const float4 sum = sum_of_warps(tile);
    if (steps_.shift == 0)
      write(steps_.tile(step), sum);
    else
      write_gated(step >> 1, sum_of_warps(tile - num_warps * lanes), sum);
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

  __device__ void write(std::uint32_t tile, const float4& sum) const {
    const float sums[4] = {sum.x, sum.y, sum.z, sum.w};
    for_outputs(tile, [&](int i, int token, std::int64_t row) {
      float* y = out_.y + token * out_.stride + row;
      const float value = output_of(out_, token, row, sums[i]);
      // Nobody else adds to this output, so there is no order to be kept; but the cache does the addition,
      // and nothing here waits for what y was.
      if (out_.accumulate)
        atomicAdd(y, value);
      else
        *y = value;
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

  float4* partial_;  // [2 tasks][tiles of a task][num_warps][sum_lanes(m)]
  const TileSteps& steps_;
  const LinearOutput& out_;
  std::int64_t n_;
  int m_;
  unsigned turn_ = 0;
};

}  // namespace lmdeploy::ops::cuda
