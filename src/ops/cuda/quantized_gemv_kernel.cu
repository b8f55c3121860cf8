// Up to 8 tokens against a quantised matrix: the weights stream through shared memory once, the tokens lie
// there too.
//
// A block owns whole tiles of 16 outputs, its warps share the inputs of each: warp i takes units i, i +
// num_warps, ... So every output is summed in one order, whatever m is and however many blocks there are.
// Of 4 bits a warp takes that unit of two tiles at once (tiles_at_once).
// Units are fetched ahead, across the ends of tiles: 64 KB in flight on a multiprocessor, the first ones
// while the kernel before still runs. The successor starts when the last unit is asked for: what it fetches
// beforehand then keeps the memory busy while this kernel sums up and ends and while the successor stages its
// inputs; asked for earlier it would have come long before, and the memory would rest. What comes next is
// asked for too, for the second-level cache: a kernel of few tiles has all of its own by then. A block takes
// half of a multiprocessor, so that it has room beside one of the kernel before: 32 K registers, and with few
// tokens less than 113 KB of shared memory.
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
  int pairs_at_once;
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
                        a.out, a.pairs_at_once);

  // A step is a tile here too, but where a place has two, those of two steps are computed at once.
  const std::uint32_t end = a.steps.begin(blockIdx.x + 1);
  std::uint32_t fetch_step = a.steps.begin(blockIdx.x), fetch_unit_idx = warp;
  const UnitSource<Shape> source(a.w, a.steps.pair_distance(), ring, lane);
  const auto fetch = [&](int place) {
    if (fetch_step < end) {
      source.fetch(place, a.steps.tile(fetch_step), end - fetch_step, fetch_unit_idx);
      fetch_unit_idx += num_warps;
      if (fetch_unit_idx >= a.w.num_units) fetch_unit_idx = warp, fetch_step += Ring::kTiles;
    }
    commit_copies();
  };
  std::uint32_t step = fetch_step, unit_idx = warp;
#pragma unroll 1  // here and below: what is run once is short, and all of it is fetched once
  for (int place = 0; place < Ring::kDepth; place++) fetch(place);
  if (warp == 0 && fetch_step < end)
    source.prefetch(a.steps.tile(fetch_step), end - fetch_step, fetch_unit_idx);

  StagedPieces pieces(a.num_pieces);
  NormedInputs<T, Shape::kSlotAtoms> normed_inputs(a.inputs.norm, a.num_pieces * 8);
  const bool is_normed = a.inputs.norm.weight != nullptr;
  if (is_normed) normed_inputs.fetch_weights();
  wait_for_predecessor();
  if (fetch_step >= end) let_successor_start();
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
  float out[Ring::kTiles][1][4] = {};
  int place = 0;
  // The next unit of the first kNum tiles of a place, which is free when the units are in registers.
  const auto add_unit = [&](auto num) {
    constexpr int kNum = decltype(num)::value;
    Unit<Shape> units[kNum];
#pragma unroll
    for (int r = 0; r < kNum; r++)
      load_unit(units[r], ring + place * Ring::kPlaceVectors + r * Ring::kUnitVectors, lane);
    __syncwarp();
    fetch(place);
    multiply_unit<T, Shape, kNum, 1>(units, static_cast<int>(unit_idx), inputs, out);
  };
#pragma unroll 1
  while (step < end) {
    wait_copies<Ring::kDepth - 1>();
    __syncwarp();
    const bool is_whole = Ring::kTiles == 1 || end - step > 1;
    if (is_whole)
      add_unit(std::integral_constant<int, Ring::kTiles>{});
    else
      add_unit(std::integral_constant<int, 1>{});
    if (fetch_step >= end) let_successor_start();
    place = place + 1 == Ring::kDepth ? 0 : place + 1;
    unit_idx += num_warps;
    if (unit_idx < a.w.num_units) continue;
    if constexpr (Ring::kTiles == 2)
      tile_sums.finish_pair(out[0][0], out[1][0], step, a.steps.begin(blockIdx.x), end);
    else
      tile_sums.finish(out[0][0], step);
#pragma unroll
    for (int r = 0; r < Ring::kTiles; r++) out[r][0][0] = out[r][0][1] = out[r][0][2] = out[r][0][3] = 0;
    unit_idx = warp, step += Ring::kTiles;
  }
}

int num_warps_of(std::int64_t num_units) {
  return num_units < kMaxWarps ? static_cast<int>(num_units) : kMaxWarps;
}

// Of tiles, that are summed over the warps at once: where a warp has few units of each, it would else meet
// the others all the time, and with few tokens there is room.
int pairs_at_once(std::int64_t num_units, int m) {
  if (m > 2 || num_units > 3 * kMaxWarps) return 1;
  return num_units > kMaxWarps ? 2 : 4;
}

}  // namespace

std::size_t quantized_gemv_shared_bytes(const QuantizedLayout& layout, int m, bool is_gated) {
  const std::int64_t num_slots = layout.padded_k() / (slot_atoms(layout) * kAtomInputs);
  const std::int64_t num_units =
      layout.padded_k() / (unit_atoms(layout.bits, slot_atoms(layout)) * kAtomInputs);
  const int num_warps = num_warps_of(num_units);
  const int tiles_held = tiles_at_once(layout.bits) == 2 ? 2 * pairs_at_once(num_units, m) : is_gated ? 2 : 1;
  int ring_vectors = 0;
  with_unit_shape(layout, [&](auto, auto shape) { ring_vectors = UnitRing<decltype(shape)>::kVectors; });
  const int vectors = num_warps * ring_vectors + TileSums<float>::num_float4s(num_warps, m, tiles_held);
  return static_cast<std::size_t>(vectors * 16 + m * shared_stride(layout.padded_k()) * 2 +
                                  num_slots * kTileTokens * 4);
}

cudaError_t launch_quantized_gemv(const QuantizedMatrixPointers& w, const QuantizedInputs& inputs,
                                  const LinearOutput& out, int num_multiprocessors, cudaStream_t stream) {
  const bool is_gated = out.gated != nullptr;
  int num_blocks = num_multiprocessors;
  const Arguments a{quantized_tiles(w),
                    inputs,
                    tile_steps(w.layout.num_tiles(), is_gated, num_blocks),
                    w.layout.n,
                    static_cast<int>(w.layout.padded_k() / kPieceInputs),
                    static_cast<int>(shared_stride(w.layout.padded_k())),
                    pairs_at_once(quantized_tiles(w).num_units, inputs.m),
                    out};
  const std::size_t shared_bytes = quantized_gemv_shared_bytes(w.layout, inputs.m, is_gated);
  cudaError_t status = cudaSuccess;
  with_unit_shape(w.layout, [&](auto x, auto shape) {
    status = launch_chained(quantized_gemv<decltype(x), decltype(shape)>, num_blocks,
                            num_warps_of(a.w.num_units) * 32, shared_bytes, stream, a);
  });
  return status;
}

}  // namespace lmdeploy::ops::cuda
