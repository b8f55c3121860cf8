// Up to 8 tokens against a quantised matrix: the weights stream through shared memory once, the tokens lie
// there too.
//
// A block owns whole tiles of 16 outputs, its warps share the inputs of each: warp i takes units i, i +
// num_warps, ... So every output is summed in one order, whatever m is and however many blocks there are.
// Units are fetched ahead, across the ends of tiles: 64 KB in flight on a multiprocessor, the first ones
// while the kernel before still runs. A block takes half of a multiprocessor, so that it has room beside one
// of the kernel before: 32 K registers, and with few tokens less than 113 KB of shared memory.
#include "ops/cuda/chained_launch.cuh"
#include "ops/cuda/normed_inputs.cuh"
#include "ops/cuda/quantized_gemv_kernel.h"
#include "ops/cuda/quantized_ring.cuh"
#include "ops/cuda/tile_sums.cuh"

namespace lmdeploy::ops::cuda {
namespace {

constexpr int kMaxWarps = 16;

struct Arguments {
  QuantizedTiles w;
  QuantizedInputs inputs;
  TileSteps steps;
  std::int64_t n;
  int num_pieces;  // of a token's padded inputs
  int x_stride;    // in shared memory
  LinearOutput out;
};

template <class T, class Shape>
__global__ void __launch_bounds__(kMaxWarps * 32, 2) quantized_gemv(const __grid_constant__ Arguments a) {
  using Ring = UnitRing<Shape>;
  extern __shared__ uint4 shared[];
  const std::uint32_t lane = threadIdx.x % 32, warp = threadIdx.x / 32, num_warps = blockDim.x / 32;
  const int m = a.inputs.m, num_slots = static_cast<int>(a.w.num_units) * Shape::kSlots;
  const uint4* ring = shared + warp * Ring::kVectors;                // of the warp
  T* x = reinterpret_cast<T*>(shared + num_warps * Ring::kVectors);  // [m][x_stride]
  float* input_sums = reinterpret_cast<float*>(x + m * a.x_stride);  // [num_slots][8]
  TileSums<T> tile_sums(reinterpret_cast<float4*>(input_sums + num_slots * kTileTokens), a.steps, m, a.n,
                        a.out);

  const std::uint32_t end = a.steps.begin(blockIdx.x + 1);
  std::uint32_t fetch_step = a.steps.begin(blockIdx.x), fetch_unit_idx = warp;
  const UnitSource<Shape> source(a.w, ring, lane);
  const auto fetch = [&](int place) {
    if (fetch_step < end) {
      source.fetch(place, a.steps.tile(fetch_step), fetch_unit_idx);
      fetch_unit_idx += num_warps;
      if (fetch_unit_idx >= a.w.num_units) fetch_unit_idx = warp, fetch_step++;
    }
    commit_copies();
  };
  std::uint32_t step = fetch_step, unit_idx = warp;
#pragma unroll 1  // here and below: what is run once is short, and all of it is fetched once
  for (int place = 0; place < Ring::kDepth; place++) fetch(place);

  StagedPieces pieces(a.num_pieces);
  NormedInputs<T, Shape::kSlotAtoms> normed_inputs(a.inputs.norm, a.num_pieces * 8);
  const bool is_normed = a.inputs.norm.weight != nullptr;
  if (is_normed) normed_inputs.fetch_weights();
  enter_chain();
  if (is_normed)
    normed_inputs.stage(static_cast<const float*>(a.inputs.x), a.inputs.stride, m, a.num_pieces, x,
                        a.x_stride, input_sums, kTileTokens);
  else
    stage_inputs<T, Shape::kSlotAtoms>(pieces, static_cast<const T*>(a.inputs.x), a.inputs.stride, m,
                                       a.num_pieces, x, a.x_stride, input_sums, kTileTokens);
  __syncthreads();

  // Lanes without a token compute the first one again, for nobody.
  const int token = static_cast<int>(lane / 4), t = static_cast<int>(lane % 4);
  const UnitInputs<T, 1> inputs{
      {x + (token < m ? token : 0) * a.x_stride + t * 8}, input_sums + 2 * t, kTileTokens};
  float out[1][1][4] = {};
  int place = 0;
#pragma unroll 1
  while (step < end) {
    wait_copies<Ring::kDepth - 1>();
    __syncwarp();
    Unit<Shape> units[1];
    load_unit(units[0], ring + place * Ring::kUnitVectors, lane);
    multiply_unit<T, Shape, 1, 1>(units, static_cast<int>(unit_idx), inputs, out);
    __syncwarp();
    fetch(place);
    place = place + 1 == Ring::kDepth ? 0 : place + 1;
    unit_idx += num_warps;
    if (unit_idx < a.w.num_units) continue;
    tile_sums.finish(out[0][0], step);
    out[0][0][0] = out[0][0][1] = out[0][0][2] = out[0][0][3] = 0;
    unit_idx = warp, step++;
  }
}

int num_warps_of(std::int64_t num_units) {
  return num_units < kMaxWarps ? static_cast<int>(num_units) : kMaxWarps;
}

}  // namespace

std::size_t quantized_gemv_shared_bytes(const QuantizedLayout& layout, int m, bool is_gated) {
  const std::int64_t num_slots = layout.padded_k() / (slot_atoms(layout) * kAtomInputs);
  const int num_warps =
      num_warps_of(layout.padded_k() / (unit_atoms(layout.bits, slot_atoms(layout)) * kAtomInputs));
  int ring_vectors = 0;
  with_unit_shape(layout, [&](auto, auto shape) { ring_vectors = UnitRing<decltype(shape)>::kVectors; });
  const int vectors = num_warps * ring_vectors + TileSums<float>::num_float4s(num_warps, m, is_gated);
  return static_cast<std::size_t>(vectors * 16 + m * shared_stride(layout.padded_k()) * 2 +
                                  num_slots * kTileTokens * 4);
}

cudaError_t launch_quantized_gemv(const QuantizedMatrixPointers& w, const QuantizedInputs& inputs,
                                  const LinearOutput& out, const CardLimits& card, cudaStream_t stream) {
  const bool is_gated = out.gated != nullptr;
  int num_blocks = card.num_multiprocessors;
  const Arguments a{quantized_tiles(w),
                    inputs,
                    tile_steps(w.layout.num_tiles(), is_gated, num_blocks),
                    w.layout.n,
                    static_cast<int>(w.layout.padded_k() / kPieceInputs),
                    static_cast<int>(shared_stride(w.layout.padded_k())),
                    out};
  // Every second kernel of a layer adds to the residual stream, attention's successor among them. Those take
  // more than half, and the ones between them fit beside.
  const std::size_t own_bytes = quantized_gemv_shared_bytes(w.layout, inputs.m, is_gated),
                    shared_bytes = out.accumulate ? card.alone(own_bytes) : own_bytes;
  cudaError_t status = cudaSuccess;
  with_unit_shape(w.layout, [&](auto x, auto shape) {
    status = launch_chained(quantized_gemv<decltype(x), decltype(shape)>, num_blocks,
                            num_warps_of(a.w.num_units) * 32, shared_bytes, stream, a);
  });
  return status;
}

}  // namespace lmdeploy::ops::cuda
