// Tiles of outputs and tokens, weights and inputs brought to shared memory a few steps ahead. All variants
// execute the same instructions on an output: only which outputs share a block differs.
#include "ops/cuda/chained_launch.cuh"
#include "ops/cuda/fixed_gemm_kernel.h"
#include "ops/cuda/mma_tiles.cuh"
#include "ops/cuda/warp_mma.cuh"

namespace lmdeploy::ops::cuda {
namespace {

constexpr int kStepInputs = 64;  // 128 bytes of a row of either side
constexpr int kStepChunks = 8;   // of 16 bytes
constexpr int kSliceSteps = 16;  // 1024 inputs
constexpr int kFewTokens = 8, kSomeTokens = 64, kManyTokens = 128;
constexpr std::int64_t kMaxPartialBytes = std::int64_t{64} << 20;

// A block computes kOutputs x kTokens of y, a warp 16 kRowTiles x 8 kTokenTiles.
template <int kTokensIn>
struct TileShape {
  static constexpr int kTokens = kTokensIn;
  static constexpr int kOutputs = kTokens == kManyTokens ? 128 : 64;
  static constexpr int kRowTiles = kTokens == kFewTokens ? 1 : 2;
  static constexpr int kTokenTiles = kTokens == kFewTokens ? 1 : kTokens / 16;
  static constexpr int kRowWarps = kOutputs / (16 * kRowTiles);
  static constexpr int kTokenWarps = kTokens / (8 * kTokenTiles);
  static constexpr int kThreads = 32 * kRowWarps * kTokenWarps;
  // Few tokens wait for the weights: 40 KB in flight for each of a multiprocessor's blocks.
  static constexpr int kStages = kTokens == kFewTokens ? 6 : kTokens == kSomeTokens ? 4 : 3;
  static constexpr int kWeightBytes = kOutputs * kStepInputs * 2;
  static constexpr int kStageBytes = kWeightBytes + kTokens * kStepInputs * 2;
  static constexpr int kSharedBytes = kStages * kStageBytes;
};

using StepTile = SwizzledTile<kStepChunks>;

// Copies inputs [first, first + kStepInputs) of rows [row, row + kRows) to shared memory; zeros beyond the
// matrix.
template <class T, int kRows, int kThreads>
__device__ void copy_step(const T* matrix, std::int64_t stride, std::int64_t row, std::int64_t num_rows,
                          std::int64_t first, std::int64_t k, unsigned to) {
#pragma unroll
  for (int i = static_cast<int>(threadIdx.x); i < kRows * kStepChunks; i += kThreads) {
    const int r = i / kStepChunks, chunk = i % kStepChunks;
    const std::int64_t input = first + chunk * 8;
    const bool valid = row + r < num_rows && input < k;
    copy_async(to + static_cast<unsigned>(StepTile::idx(r, chunk)) * 16,
               valid ? matrix + (row + r) * stride + input : matrix, valid);
  }
}

template <class Shape>
using Sums = float[Shape::kRowTiles][Shape::kTokenTiles][4];

// sums += what a step's inputs give, 16 at a time from the first on.
template <class T, class Shape>
__device__ void multiply_step(unsigned weights, unsigned inputs, Sums<Shape>& sums) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
#pragma unroll
  for (int step = 0; step < kStepInputs / 16; step++) {
    unsigned a[Shape::kRowTiles][4], b[Shape::kTokenTiles][2];
#pragma unroll
    for (int r = 0; r < Shape::kRowTiles; r++)
      load_matrices<false>(
          a[r],
          weights + static_cast<unsigned>(StepTile::idx(16 * r + lane % 16, 2 * step + lane / 16)) * 16);
    if constexpr (Shape::kTokenTiles == 1) {
      unsigned both[4];  // the last two are the first two again
      load_matrices<false>(
          both, inputs + static_cast<unsigned>(StepTile::idx(lane % 8, 2 * step + lane / 8 % 2)) * 16);
      b[0][0] = both[0], b[0][1] = both[1];
    } else {
#pragma unroll
      for (int j = 0; j < Shape::kTokenTiles; j += 2) {
        unsigned pair[4];
        load_matrices<false>(pair, inputs + static_cast<unsigned>(StepTile::idx(
                                                8 * j + lane % 8 + lane / 16 * 8, 2 * step + lane / 8 % 2)) *
                                                16);
        b[j][0] = pair[0], b[j][1] = pair[1], b[j + 1][0] = pair[2], b[j + 1][1] = pair[3];
      }
    }
#pragma unroll
    for (int r = 0; r < Shape::kRowTiles; r++)
#pragma unroll
      for (int j = 0; j < Shape::kTokenTiles; j++) multiply_add<T>(sums[r][j], a[r], b[j][0], b[j][1]);
  }
}

template <class Shape>
__device__ void close_slice(Sums<Shape>& slice, Sums<Shape>& total) {
#pragma unroll
  for (int r = 0; r < Shape::kRowTiles; r++)
#pragma unroll
    for (int j = 0; j < Shape::kTokenTiles; j++)
#pragma unroll
      for (int i = 0; i < 4; i++) {
        total[r][j][i] += slice[r][j][i];
        slice[r][j][i] = 0;
      }
}

// first_row, first_token: of the warp's sums.
template <class Shape>
__device__ void write_sums(const FixedGemm& g, std::int64_t first_row, std::int64_t first_token,
                           const Sums<Shape>& sums) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
#pragma unroll
  for (int r = 0; r < Shape::kRowTiles; r++)
#pragma unroll
    for (int j = 0; j < Shape::kTokenTiles; j++)
#pragma unroll
      for (int i = 0; i < 4; i++) {
        const std::int64_t row = first_row + 16 * r + lane / 4 + i / 2 * 8,
                           token = first_token + 8 * j + lane % 4 * 2 + i % 2;
        if (row >= g.n || token >= g.m) continue;
        if (g.partial == nullptr)
          put(g.out, token, row, sums[r][j][i]);
        else
          g.partial[(blockIdx.z * g.m + token) * g.n + row] = sums[r][j][i];
      }
}

// Grid: tiles of tokens, which then find each other's weights in the cache, tiles of outputs, slices.
template <class T, class Shape>
__global__ void __launch_bounds__(Shape::kThreads) fixed_gemm(const __grid_constant__ FixedGemm g) {
  let_successor_start();
  extern __shared__ __align__(128) char shared[];
  const unsigned stages = shared_address(shared);
  const std::int64_t row = std::int64_t{blockIdx.y} * Shape::kOutputs,
                     token = std::int64_t{blockIdx.x} * Shape::kTokens;
  const int all_steps = static_cast<int>(divide_up(g.k, kStepInputs)),
            first_step = g.partial == nullptr ? 0 : static_cast<int>(blockIdx.z) * kSliceSteps,
            end_step = g.partial == nullptr ? all_steps : min(first_step + kSliceSteps, all_steps);

  const auto stage_of = [&](int step) {
    return stages + static_cast<unsigned>((step - first_step) % Shape::kStages * Shape::kStageBytes);
  };
  const auto copy_weights = [&](int step) {
    if (step < end_step)
      copy_step<T, Shape::kOutputs, Shape::kThreads>(static_cast<const T*>(g.w), g.k, row, g.n,
                                                     std::int64_t{step} * kStepInputs, g.k, stage_of(step));
  };
  const auto copy_inputs = [&](int step) {
    if (step < end_step)
      copy_step<T, Shape::kTokens, Shape::kThreads>(static_cast<const T*>(g.x), g.x_stride, token, g.m,
                                                    std::int64_t{step} * kStepInputs, g.k,
                                                    stage_of(step) + Shape::kWeightBytes);
    commit_copies();
  };
#pragma unroll
  for (int i = 0; i < Shape::kStages - 1; i++) copy_weights(first_step + i);
  wait_for_predecessor();
#pragma unroll
  for (int i = 0; i < Shape::kStages - 1; i++) copy_inputs(first_step + i);

  const int warp = static_cast<int>(threadIdx.x) / 32,
            warp_row = warp / Shape::kTokenWarps * 16 * Shape::kRowTiles,
            warp_token = warp % Shape::kTokenWarps * 8 * Shape::kTokenTiles;
  constexpr unsigned kRowBytes = kStepInputs * 2;  // a warp's rows begin at a multiple of 8: swizzled alike
  Sums<Shape> slice = {}, total = {};
  for (int step = first_step; step < end_step; step++) {
    wait_copies<Shape::kStages - 2>();
    __syncthreads();  // this step is there, the one before has been read
    copy_weights(step + Shape::kStages - 1);
    copy_inputs(step + Shape::kStages - 1);
    const unsigned stage = stage_of(step);
    multiply_step<T, Shape>(stage + static_cast<unsigned>(warp_row) * kRowBytes,
                            stage + Shape::kWeightBytes + static_cast<unsigned>(warp_token) * kRowBytes,
                            slice);
    if ((step + 1) % kSliceSteps == 0 || step + 1 == end_step) close_slice<Shape>(slice, total);
  }
  write_sums<Shape>(g, row + warp_row, token + warp_token, total);
}

// Calls f with the TileShape for m tokens.
template <class F>
void with_tile_shape(std::int64_t m, const F& f) {
  if (m <= kFewTokens) return f(TileShape<kFewTokens>{});
  if (m <= kSomeTokens) return f(TileShape<kSomeTokens>{});
  f(TileShape<kManyTokens>{});
}

template <class T, class Shape>
cudaError_t launch(const FixedGemm& g, cudaStream_t stream) {
  const auto kernel = fixed_gemm<T, Shape>;
  const cudaError_t status =
      cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, Shape::kSharedBytes);
  if (status != cudaSuccess) return status;
  const dim3 grid(
      static_cast<unsigned>(divide_up(g.m, Shape::kTokens)),
      static_cast<unsigned>(divide_up(g.n, Shape::kOutputs)),
      g.partial == nullptr ? 1 : static_cast<unsigned>(divide_up(g.k, kSliceSteps * kStepInputs)));
  return launch_chained(kernel, grid, Shape::kThreads, Shape::kSharedBytes, stream, g);
}

}  // namespace

int fixed_gemm_slices(std::int64_t m, std::int64_t n, std::int64_t k, int num_multiprocessors) {
  const std::int64_t num_slices = divide_up(k, kSliceSteps * kStepInputs);
  if (num_slices * m * n * 4 > kMaxPartialBytes) return 1;
  bool full = false;
  with_tile_shape(m, [&](auto shape) {
    using Shape = decltype(shape);
    constexpr int kBlocksAtOnce = Shape::kTokens == kManyTokens ? 1 : 3;  // on a multiprocessor
    full =
        divide_up(m, Shape::kTokens) * divide_up(n, Shape::kOutputs) >= kBlocksAtOnce * num_multiprocessors;
  });
  return full ? 1 : static_cast<int>(num_slices);
}

cudaError_t launch_fixed_gemm(const FixedGemm& gemm, cudaStream_t stream) {
  cudaError_t status = cudaErrorInvalidValue;
  with_tile_shape(gemm.m, [&](auto shape) {
    using Shape = decltype(shape);
    status = gemm.dtype == DType::f16 ? launch<__half, Shape>(gemm, stream)
                                      : launch<__nv_bfloat16, Shape>(gemm, stream);
  });
  return status;
}

}  // namespace lmdeploy::ops::cuda
