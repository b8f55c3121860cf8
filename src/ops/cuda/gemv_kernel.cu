// Up to 8 tokens against a matrix of floats. As in quantized_gemv_kernel.cu, where the reasons are, a block
// owns tiles of 16 outputs and its warps share the inputs; here a lane finds its part of a tile in rows g and
// g + 8 of the matrix itself.
#include "ops/cuda/chained_launch.cuh"
#include "ops/cuda/gemv_kernel.h"
#include "ops/cuda/mma_tiles.cuh"

namespace lmdeploy::ops::cuda {
namespace {

constexpr int kMaxWarps = 16;
constexpr int kAtoms = 2;  // of 32 inputs, in a unit: 128 bytes of each row
constexpr int kUnitPieces = kAtoms * 4;
constexpr int kDepth = 4;  // units fetched ahead: 128 KB in flight on a multiprocessor

struct Arguments {
  FloatGemv gemv;
  std::uint32_t num_tiles, num_units;
  int num_pieces;  // of a row
  int x_stride;    // in shared memory
};

struct FloatUnit {
  uint4 lower[kAtoms], upper[kAtoms];  // of outputs g and g + 8
};

template <class T>
__device__ void fetch_unit(FloatUnit& unit, const Arguments& a, std::uint32_t tile, std::uint32_t unit_idx,
                           std::uint32_t lane) {
  const std::int64_t last_row = a.gemv.n - 1, row = std::int64_t{tile} * 16 + lane / 4;
  const T* w = static_cast<const T*>(a.gemv.w);
  const T* lower = w + (row < last_row ? row : last_row) * a.gemv.k;
  const T* upper = w + (row + 8 < last_row ? row + 8 : last_row) * a.gemv.k;
#pragma unroll
  for (int i = 0; i < kAtoms; i++) {
    const int piece = static_cast<int>(unit_idx * kUnitPieces + i * 4 + lane % 4);
    unit.lower[i] = unit.upper[i] = uint4{};
    if (piece >= a.num_pieces) continue;
    unit.lower[i] = load_once(lower + piece * 8);
    unit.upper[i] = load_once(upper + piece * 8);
  }
}

// x: of the lane's token, its eight of the unit's first 32 inputs; in shared memory, or where the product's x
// is and as long as the last unit.
template <class T>
__device__ void multiply_unit(const FloatUnit& unit, const T* x, float (&sums)[2][4]) {
#pragma unroll
  for (int i = 0; i < kAtoms; i++) {
    const uint4 b = *reinterpret_cast<const uint4*>(x + i * 32);
    const uint4 &lower = unit.lower[i], &upper = unit.upper[i];
    mma<T>(sums[0], {lower.x, upper.x, lower.y, upper.y}, b.x, b.y);
    mma<T>(sums[1], {lower.z, upper.z, lower.w, upper.w}, b.z, b.w);
  }
}

template <class T, bool kStageInputs>
__global__ void __launch_bounds__(kMaxWarps * 32, 1) gemv(const Arguments a) {
  let_successor_start();
  extern __shared__ uint4 shared[];
  const int m = a.gemv.m;
  T* staged = reinterpret_cast<T*>(shared);  // [m][x_stride]
  TileSums tile_sums(reinterpret_cast<float4*>(staged + (kStageInputs ? m * a.x_stride : 0)));

  const std::uint32_t lane = threadIdx.x % 32, warp = threadIdx.x / 32, num_warps = blockDim.x / 32;
  const auto tile_of = [&](std::uint32_t block) {
    return static_cast<std::uint32_t>(static_cast<std::uint64_t>(a.num_tiles) * block / gridDim.x);
  };
  const std::uint32_t first = tile_of(blockIdx.x), end = tile_of(blockIdx.x + 1);

  FloatUnit units[kDepth];
  std::uint32_t fetch_tile = first, fetch_unit_idx = warp;
  const auto fetch = [&](FloatUnit& unit) {
    if (fetch_tile >= end) return;
    fetch_unit<T>(unit, a, fetch_tile, fetch_unit_idx, lane);
    fetch_unit_idx += num_warps;
    if (fetch_unit_idx >= a.num_units) fetch_unit_idx = warp, fetch_tile++;
  };
#pragma unroll
  for (int i = 0; i < kDepth; i++) fetch(units[i]);

  wait_for_predecessor();
  const T* x = static_cast<const T*>(a.gemv.x);
  std::int64_t x_stride = a.gemv.x_stride;
  if constexpr (kStageInputs) {
    stage_inputs<T, 0>(x, x_stride, m, a.num_pieces, static_cast<int>(a.num_units) * kUnitPieces, staged,
                       a.x_stride, nullptr, 0);
    __syncthreads();
    x = staged, x_stride = a.x_stride;
  }
  const int token = static_cast<int>(lane / 4);  // lanes without one compute the first again, for nobody
  x += (token < m ? token : 0) * x_stride + lane % 4 * 8;

  float sums[2][4] = {};
  std::uint32_t tile = first, unit_idx = warp;
  while (tile < end) {
#pragma unroll
    for (int i = 0; i < kDepth; i++) {
      if (tile >= end) break;
      multiply_unit<T>(units[i], x + unit_idx * (kAtoms * 32), sums);
      fetch(units[i]);
      unit_idx += num_warps;
      if (unit_idx < a.num_units) continue;
      const float out[4] = {sums[0][0] + sums[1][0], sums[0][1] + sums[1][1], sums[0][2] + sums[1][2],
                            sums[0][3] + sums[1][3]};
      tile_sums.finish(out, tile, a.gemv.n, m, a.gemv.out);
#pragma unroll
      for (int j = 0; j < 4; j++) sums[0][j] = sums[1][j] = 0;
      unit_idx = warp, tile++;
    }
  }
}

// Weights that were just made are there once the kernel before has ended, as that of an ordinary launch has.
template <class Arguments>
cudaError_t launch_after(bool weights_are_new, void (*kernel)(Arguments), unsigned num_blocks,
                         int num_threads, std::size_t shared_bytes, cudaStream_t stream, const Arguments& a) {
  if (!weights_are_new) return launch_chained(kernel, num_blocks, num_threads, shared_bytes, stream, a);
  kernel<<<num_blocks, num_threads, shared_bytes, stream>>>(a);
  return cudaGetLastError();
}

template <class T, bool kStageInputs>
cudaError_t launch(const Arguments& a, int num_multiprocessors, std::size_t shared_bytes,
                   cudaStream_t stream) {
  const auto kernel = gemv<T, kStageInputs>;
  const cudaError_t status = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                                  static_cast<int>(shared_bytes));
  if (status != cudaSuccess) return status;
  const int num_warps = a.num_units < kMaxWarps ? static_cast<int>(a.num_units) : kMaxWarps;
  const int num_blocks = a.num_tiles < static_cast<std::uint32_t>(num_multiprocessors)
                             ? static_cast<int>(a.num_tiles)
                             : num_multiprocessors;
  return launch_after(a.gemv.w_is_new, kernel, static_cast<unsigned>(num_blocks), num_warps * 32,
                      shared_bytes, stream, a);
}

// A warp for each output. What of x it reads others read too: the caches have it.
template <class T>
__global__ void plain_gemv(const FloatGemv a) {
  enter_chain();
  const std::int64_t row = std::int64_t{blockIdx.x} * (blockDim.x / 32) + threadIdx.x / 32;
  if (row >= a.n) return;
  const int lane = threadIdx.x % 32;
  const T* w = static_cast<const T*>(a.w) + row * a.k;
  const T* x = static_cast<const T*>(a.x);
  float sums[kTileTokens] = {};
#pragma unroll 4
  for (std::int64_t i = lane; i < a.k; i += 32) {
    const float weight = to_float(w[i]);
#pragma unroll
    for (int token = 0; token < kTileTokens; token++)
      if (token < a.m) sums[token] = fmaf(weight, to_float(x[token * a.x_stride + i]), sums[token]);
  }
#pragma unroll
  for (int token = 0; token < kTileTokens; token++) {
#pragma unroll
    for (int step = 16; step > 0; step /= 2) sums[token] += __shfl_xor_sync(~0U, sums[token], step);
    if (lane == 0 && token < a.m) put(a.out, token, row, sums[token]);
  }
}

// The same of f32 in rows aligned to 16 bytes.
__global__ void plain_gemv_of_float4(const FloatGemv a) {
  enter_chain();
  const std::int64_t row = std::int64_t{blockIdx.x} * (blockDim.x / 32) + threadIdx.x / 32;
  if (row >= a.n) return;
  const int lane = threadIdx.x % 32;
  const float4* w = reinterpret_cast<const float4*>(static_cast<const float*>(a.w) + row * a.k);
  const float* x = static_cast<const float*>(a.x);
  float sums[kTileTokens] = {};
#pragma unroll 4
  for (std::int64_t i = lane; i < a.k / 4; i += 32) {
    const float4 weight = __ldg(w + i);
#pragma unroll
    for (int token = 0; token < kTileTokens; token++)
      if (token < a.m) {
        const float4 v = reinterpret_cast<const float4*>(x + token * a.x_stride)[i];
        sums[token] =
            fmaf(weight.x, v.x, fmaf(weight.y, v.y, fmaf(weight.z, v.z, fmaf(weight.w, v.w, sums[token]))));
      }
  }
#pragma unroll
  for (int token = 0; token < kTileTokens; token++) {
#pragma unroll
    for (int step = 16; step > 0; step /= 2) sums[token] += __shfl_xor_sync(~0U, sums[token], step);
    if (lane == 0 && token < a.m) put(a.out, token, row, sums[token]);
  }
}

bool aligned(const void* p, std::int64_t row_bytes) {
  return (reinterpret_cast<std::uintptr_t>(p) | static_cast<std::uintptr_t>(row_bytes)) % 16 == 0;
}

}  // namespace

cudaError_t launch_gemv(const FloatGemv& gemv, int num_multiprocessors, std::size_t max_shared_bytes,
                        cudaStream_t stream) {
  const std::int64_t unit_inputs = kAtoms * 32, stride = shared_stride(gemv.k);
  const Arguments a{gemv, static_cast<std::uint32_t>(divide_up(gemv.n, 16)),
                    static_cast<std::uint32_t>(divide_up(gemv.k, unit_inputs)), static_cast<int>(gemv.k / 8),
                    static_cast<int>(stride)};
  const std::size_t sums_bytes = kMaxWarps * TileSums::kFloat4s * sizeof(float4);
  const std::size_t staged_bytes = static_cast<std::size_t>(gemv.m * stride) * 2 + sums_bytes;
  cudaError_t status = cudaSuccess;
  with_float_type(gemv.dtype, [&](auto type) {
    using T = decltype(type);
    if constexpr (!std::is_same_v<T, float>) {
      if (staged_bytes <= max_shared_bytes) {
        status = launch<T, true>(a, num_multiprocessors, staged_bytes, stream);
      } else if (gemv.k % unit_inputs == 0) {
        status = launch<T, false>(a, num_multiprocessors, sums_bytes, stream);
      } else {
        status = launch_plain_gemv(gemv, stream);
      }
    }
  });
  return status;
}

cudaError_t launch_plain_gemv(const FloatGemv& gemv, cudaStream_t stream) {
  constexpr int kWarps = 8;
  const auto num_blocks = static_cast<unsigned>(divide_up(gemv.n, kWarps));
  if (gemv.dtype == DType::f32 && aligned(gemv.x, gemv.x_stride * 4) && aligned(gemv.w, gemv.k * 4)) {
    return launch_after(gemv.w_is_new, plain_gemv_of_float4, num_blocks, kWarps * 32, 0, stream, gemv);
  }
  cudaError_t status = cudaSuccess;
  with_float_type(gemv.dtype, [&](auto type) {
    status =
        launch_after(gemv.w_is_new, plain_gemv<decltype(type)>, num_blocks, kWarps * 32, 0, stream, gemv);
  });
  return status;
}

}  // namespace lmdeploy::ops::cuda
