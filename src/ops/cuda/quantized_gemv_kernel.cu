// Up to 8 tokens against a quantised matrix: the weights stream through registers once, the tokens lie in
// shared memory.
//
// A block owns whole tiles of 16 outputs, its warps share the inputs of each: warp i takes units i, i +
// num_warps, ... So every output is summed in one order, whatever m is and however many blocks there are.
// Units are fetched kDepth ahead, across the ends of tiles: 64 KB in flight on a multiprocessor; the first
// ones while the kernel before still runs.
#include "ops/cuda/chained_launch.cuh"
#include "ops/cuda/quantized_gemv_kernel.h"
#include "ops/cuda/quantized_units.cuh"

namespace lmdeploy::ops::cuda {
namespace {

constexpr int kMaxWarps = 16;

struct Arguments {
  QuantizedTiles w;
  QuantizedInputs inputs;
  std::int64_t n;
  int num_pieces;  // of a token's padded inputs
  int x_stride;    // in shared memory
  LinearOutput out;
};

template <class T, class Shape>
__global__ void __launch_bounds__(kMaxWarps * 32, 1) quantized_gemv(const Arguments a) {
  constexpr int kDepth = 8 / Shape::kChunks;
  let_successor_start();
  extern __shared__ uint4 shared[];
  const int m = a.inputs.m, num_slots = static_cast<int>(a.w.num_units) * Shape::kSlots;
  T* x = reinterpret_cast<T*>(shared);                         // [m][x_stride]
  float* sums = reinterpret_cast<float*>(x + m * a.x_stride);  // [num_slots][8]
  TileSums tile_sums(reinterpret_cast<float4*>(sums + num_slots * kTileTokens));

  const std::uint32_t lane = threadIdx.x % 32, warp = threadIdx.x / 32, num_warps = blockDim.x / 32;
  const auto tile_of = [&](std::uint32_t block) {
    return static_cast<std::uint32_t>(static_cast<std::uint64_t>(a.w.num_tiles) * block / gridDim.x);
  };
  const std::uint32_t first = tile_of(blockIdx.x), end = tile_of(blockIdx.x + 1);

  Unit<Shape> units[kDepth][1];
  std::uint32_t fetch_tile = first, fetch_unit_idx = warp;
  const auto fetch = [&](Unit<Shape>& unit) {
    if (fetch_tile >= end) return;
    fetch_unit(unit, a.w, fetch_tile, fetch_unit_idx, lane);
    fetch_unit_idx += num_warps;
    if (fetch_unit_idx >= a.w.num_units) fetch_unit_idx = warp, fetch_tile++;
  };
#pragma unroll
  for (int i = 0; i < kDepth; i++) fetch(units[i][0]);

  wait_for_predecessor();
  stage_inputs<T, Shape::kSlotAtoms>(static_cast<const T*>(a.inputs.x), a.inputs.stride, m, a.num_pieces,
                                     a.num_pieces, x, a.x_stride, sums, kTileTokens);
  __syncthreads();

  // Lanes without a token compute the first one again, for nobody.
  const int token = static_cast<int>(lane / 4), t = static_cast<int>(lane % 4);
  const UnitInputs<T, 1> inputs{
      {x + (token < m ? token : 0) * a.x_stride + t * 8}, sums + 2 * t, kTileTokens};
  float out[1][1][4] = {};
  std::uint32_t tile = first, unit_idx = warp;
  while (tile < end) {
#pragma unroll
    for (int i = 0; i < kDepth; i++) {
      if (tile >= end) break;
      multiply_unit<T, Shape, 1, 1>(units[i], static_cast<int>(unit_idx), inputs, out);
      fetch(units[i][0]);
      unit_idx += num_warps;
      if (unit_idx < a.w.num_units) continue;
      tile_sums.finish(out[0][0], tile, a.n, m, a.out);
      out[0][0][0] = out[0][0][1] = out[0][0][2] = out[0][0][3] = 0;
      unit_idx = warp, tile++;
    }
  }
}

int num_warps(const QuantizedTiles& tiles) {
  return tiles.num_units < kMaxWarps ? static_cast<int>(tiles.num_units) : kMaxWarps;
}

template <class T, class Shape>
cudaError_t launch(const Arguments& a, std::size_t shared_bytes, int num_blocks, cudaStream_t stream) {
  const auto kernel = quantized_gemv<T, Shape>;
  const cudaError_t status = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                                  static_cast<int>(shared_bytes));
  if (status != cudaSuccess) return status;
  return launch_chained(kernel, num_blocks, num_warps(a.w) * 32, shared_bytes, stream, a);
}

}  // namespace

std::size_t quantized_gemv_shared_bytes(const QuantizedLayout& layout, int m) {
  const std::int64_t num_slots = layout.padded_k() / (slot_atoms(layout) * kAtomInputs);
  return static_cast<std::size_t>(m * shared_stride(layout.padded_k()) * 2 + num_slots * kTileTokens * 4 +
                                  kMaxWarps * TileSums::kFloat4s * 16);
}

cudaError_t launch_quantized_gemv(const QuantizedMatrixPointers& w, const QuantizedInputs& inputs,
                                  const LinearOutput& out, int num_multiprocessors, cudaStream_t stream) {
  Arguments a{quantized_tiles(w),
              inputs,
              w.layout.n,
              static_cast<int>(w.layout.padded_k() / kPieceInputs),
              static_cast<int>(shared_stride(w.layout.padded_k())),
              out};
  const std::size_t shared_bytes = quantized_gemv_shared_bytes(w.layout, inputs.m);
  const int num_blocks = a.w.num_tiles < static_cast<std::uint32_t>(num_multiprocessors)
                             ? static_cast<int>(a.w.num_tiles)
                             : num_multiprocessors;
  cudaError_t status = cudaSuccess;
  with_unit_shape(w.layout, [&](auto x, auto shape) {
    status = launch<decltype(x), decltype(shape)>(a, shared_bytes, num_blocks, stream);
  });
  return status;
}

}  // namespace lmdeploy::ops::cuda
