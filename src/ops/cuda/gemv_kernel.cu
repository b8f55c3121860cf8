// Up to 8 tokens against a matrix of floats. As in quantized_gemv_kernel.cu, where the reasons are, a block
// owns tiles of 16 outputs and its warps share the inputs; here a lane finds its part of a tile in rows g and
// g + 8 of the matrix itself. A block has a multiprocessor alone: its weights take so long that what a
// successor would fetch meanwhile delays them by more than it saves.
#include "ops/cuda/chained_launch.cuh"
#include "ops/cuda/gemv_kernel.h"
#include "ops/cuda/normed_inputs.cuh"
#include "ops/cuda/tile_sums.cuh"

namespace lmdeploy::ops::cuda {
namespace {

constexpr int kMaxWarps = 16;
constexpr int kAtoms = 2;  // of 32 inputs, in a unit: 128 bytes of each row
constexpr int kUnitPieces = kAtoms * 4;
constexpr int kDepth = 4;  // atoms fetched ahead: 64 KB in flight on a multiprocessor

struct Arguments {
  FloatGemv gemv;
  TileSteps steps;
  std::uint32_t num_units;
  int num_pieces;  // of a row
  int x_stride;    // in shared memory
};

// A lane's part of an atom in shared memory: of output g, and 32 pieces behind it of g + 8.
constexpr int kAtomVectors = 2 * 32;

template <class T>
__device__ void fetch_atom(unsigned to, const Arguments& a, std::uint32_t tile, std::uint32_t unit_idx,
                           int atom, std::uint32_t lane) {
  const std::int64_t last_row = a.gemv.n - 1, row = std::int64_t{tile} * 16 + lane / 4;
  const int piece = static_cast<int>(unit_idx * kUnitPieces + atom * 4 + lane % 4);
  const bool valid = piece < a.num_pieces;
  const T* w = static_cast<const T*>(a.gemv.w) + (valid ? piece * 8 : 0);
  copy_once(to, w + (row < last_row ? row : last_row) * a.gemv.k, valid);
  copy_once(to + 32 * sizeof(uint4), w + (row + 8 < last_row ? row + 8 : last_row) * a.gemv.k, valid);
}

// x: of the lane's token, its eight of the atom's inputs; in shared memory, or where the product's x is and
// as long as the last unit.
template <class T>
__device__ void multiply_atom(const uint4* weights, const T* x, float (&sums)[2][4]) {
  const uint4 b = *reinterpret_cast<const uint4*>(x), lower = weights[0], upper = weights[32];
  mma<T>(sums[0], {lower.x, upper.x, lower.y, upper.y}, b.x, b.y);
  mma<T>(sums[1], {lower.z, upper.z, lower.w, upper.w}, b.z, b.w);
}

template <class T, bool kStageInputs>
__global__ void __launch_bounds__(kMaxWarps * 32, 2) gemv(const __grid_constant__ Arguments a) {
  extern __shared__ uint4 shared[];
  const int m = a.gemv.m;
  const std::uint32_t lane = threadIdx.x % 32, warp = threadIdx.x / 32, num_warps = blockDim.x / 32;
  const uint4* ring =
      shared + warp * (kDepth * kAtomVectors) + lane;  // what this lane alone writes and reads
  uint4* const behind_rings = shared + num_warps * (kDepth * kAtomVectors);
  T* staged = reinterpret_cast<T*>(behind_rings);  // [m][x_stride]
  TileSums<T> tile_sums(reinterpret_cast<float4*>(staged + (kStageInputs ? m * a.x_stride : 0)), a.steps, m,
                        a.gemv.n, a.gemv.out);

  const std::uint32_t end = a.steps.begin(blockIdx.x + 1);
  std::uint32_t fetch_step = a.steps.begin(blockIdx.x), fetch_unit_idx = warp;
  const unsigned ring_address = shared_address(ring);
  // An atom of the next unit of the block's tiles.
  const auto fetch = [&](int place, int atom) {
    if (fetch_step < end)
      fetch_atom<T>(ring_address + (place + atom) * (kAtomVectors * sizeof(uint4)), a,
                    a.steps.tile(fetch_step), fetch_unit_idx, atom, lane);
    commit_copies();
  };
  const auto next_unit = [&] {
    fetch_unit_idx += num_warps;
    if (fetch_unit_idx >= a.num_units) fetch_unit_idx = warp, fetch_step++;
  };
  std::uint32_t step = fetch_step, unit_idx = warp;
#pragma unroll 1  // here and below: what is run once is short, and all of it is fetched once
  for (int place = 0; place < kDepth; place += kAtoms) {
#pragma unroll
    for (int atom = 0; atom < kAtoms; atom++) fetch(place, atom);
    next_unit();
  }

  const int padded_pieces = static_cast<int>(a.num_units) * kUnitPieces;
  StagedPieces pieces(padded_pieces);
  NormedInputs<T, 0> normed_inputs(a.gemv.norm, static_cast<int>(a.gemv.k));
  const bool is_normed = kStageInputs && a.gemv.norm.weight != nullptr;
  if (is_normed) normed_inputs.fetch_weights();
  enter_chain();
  const T* x = static_cast<const T*>(a.gemv.x);
  std::int64_t x_stride = a.gemv.x_stride;
  if constexpr (kStageInputs) {
    if (is_normed)
      normed_inputs.stage(static_cast<const float*>(a.gemv.x), x_stride, m, padded_pieces, staged, a.x_stride,
                          nullptr, 0);
    else
      stage_inputs<T, 0>(pieces, x, x_stride, m, a.num_pieces, staged, a.x_stride, nullptr, 0);
    __syncthreads();
    x = staged, x_stride = a.x_stride;
  }
  const int token = static_cast<int>(lane / 4);  // lanes without one compute the first again, for nobody
  x += (token < m ? token : 0) * x_stride + lane % 4 * 8;

  float sums[2][4] = {};
  int place = 0;
#pragma unroll 1
  while (step < end) {
#pragma unroll
    for (int atom = 0; atom < kAtoms; atom++) {
      wait_copies<kDepth - 1>();
      multiply_atom<T>(ring + (place + atom) * kAtomVectors, x + (unit_idx * kAtoms + atom) * 32, sums);
      fetch(place, atom);
    }
    next_unit();
    place = place + kAtoms == kDepth ? 0 : place + kAtoms;
    unit_idx += num_warps;
    if (unit_idx < a.num_units) continue;
    const float out[4] = {sums[0][0] + sums[1][0], sums[0][1] + sums[1][1], sums[0][2] + sums[1][2],
                          sums[0][3] + sums[1][3]};
    tile_sums.finish(out, step);
#pragma unroll
    for (int j = 0; j < 4; j++) sums[0][j] = sums[1][j] = 0;
    unit_idx = warp, step++;
  }
}

int num_warps_of(std::int64_t num_units) {
  return num_units < kMaxWarps ? static_cast<int>(num_units) : kMaxWarps;
}

// x: of staged inputs.
std::size_t shared_bytes(int num_warps, int m, bool is_gated, std::int64_t x_bytes) {
  const int vectors =
      num_warps * kDepth * kAtomVectors + TileSums<float>::num_float4s(num_warps, m, is_gated);
  return static_cast<std::size_t>(vectors * 16 + x_bytes);
}

template <class T, bool kStageInputs>
cudaError_t launch(const Arguments& a, int num_blocks, std::size_t shared_bytes, cudaStream_t stream) {
  const auto kernel = gemv<T, kStageInputs>;
  const int num_threads = num_warps_of(a.num_units) * 32;
  return launch_kernel(!a.gemv.w_is_new, kernel, num_blocks, num_threads, shared_bytes, stream, a);
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

std::size_t gemv_shared_bytes(std::int64_t k, int m, bool is_gated) {
  return shared_bytes(num_warps_of(divide_up(k, kAtoms * 32)), m, is_gated, m * shared_stride(k) * 2);
}

cudaError_t launch_gemv(const FloatGemv& gemv, const CardLimits& card, cudaStream_t stream) {
  const std::int64_t num_units = divide_up(gemv.k, kAtoms * 32);
  const bool is_gated = gemv.out.gated != nullptr;
  int num_blocks = card.num_multiprocessors;
  const Arguments a{gemv, tile_steps(divide_up(gemv.n, 16), is_gated, num_blocks),
                    static_cast<std::uint32_t>(num_units), static_cast<int>(gemv.k / 8),
                    static_cast<int>(shared_stride(gemv.k))};
  const std::size_t staged_bytes = gemv_shared_bytes(gemv.k, gemv.m, is_gated);
  cudaError_t status = cudaSuccess;
  with_float_type(gemv.dtype, [&](auto type) {
    using T = decltype(type);
    if constexpr (!std::is_same_v<T, float>) {
      if (staged_bytes <= card.max_shared_bytes)
        status = launch<T, true>(a, num_blocks, card.alone(staged_bytes), stream);
      else if (gemv.k % (kAtoms * 32) == 0)
        status = launch<T, false>(
            a, num_blocks, card.alone(shared_bytes(num_warps_of(num_units), gemv.m, is_gated, 0)), stream);
      else
        status = launch_plain_gemv(gemv, stream);
    }
  });
  return status;
}

cudaError_t launch_plain_gemv(const FloatGemv& gemv, cudaStream_t stream) {
  constexpr int kWarps = 8;
  const auto num_blocks = static_cast<unsigned>(divide_up(gemv.n, kWarps));
  const bool overlaps = !gemv.w_is_new;
  if (gemv.dtype == DType::f32 && aligned(gemv.x, gemv.x_stride * 4) && aligned(gemv.w, gemv.k * 4))
    return launch_kernel(overlaps, plain_gemv_of_float4, num_blocks, kWarps * 32, 0, stream, gemv);
  cudaError_t status = cudaSuccess;
  with_float_type(gemv.dtype, [&](auto type) {
    status = launch_kernel(overlaps, plain_gemv<decltype(type)>, num_blocks, kWarps * 32, 0, stream, gemv);
  });
  return status;
}

}  // namespace lmdeploy::ops::cuda
