// Up to 64 tokens against a quantised matrix. As in quantized_gemv the weights stream through registers once,
// but here every warp works alone: it takes tiles of outputs with all inputs of its block's slice, whose x
// lies in shared memory. Weights unpacked once meet up to 8 tiles of tokens, and what is read of shared
// memory up to 2 tiles of outputs.
#include "ops/cuda/chained_launch.cuh"
#include "ops/cuda/quantized_gemm_kernel.h"
#include "ops/cuda/quantized_units.cuh"

namespace lmdeploy::ops::cuda {
namespace {

struct Arguments {
  QuantizedTiles w;
  QuantizedInputs inputs;
  std::int64_t n;
  int num_slices;
  int slice_units;
  int x_stride;  // in shared memory
  LinearOutput out;
  float* partial;  // [num_slices][m][n], where there is more than one
};

// Tiles of outputs and warps of a block, for so many tiles of tokens: registers are the limit.
template <int kBits, int kTokenTiles>
inline constexpr int kRowTilesOf = kTokenTiles == 2 || (kTokenTiles == 8 && kBits == 8) ? 1 : 2;
template <int kTokenTiles>
inline constexpr int kWarpsOf = kTokenTiles == 2 ? 16 : 8;
// Units that are fetched ahead.
template <class Shape, int kTokenTiles>
inline constexpr int kDepthOf = kTokenTiles == 8 || Shape::kChunks == 4 ? 2
                                : kTokenTiles == 4                      ? 3
                                                                        : 4;

template <int kTokenTiles>
__device__ void write_tile(const Arguments& a, int slice, std::uint32_t tile,
                           const float (&sums)[kTokenTiles][4]) {
  const int lane = threadIdx.x % 32;
#pragma unroll
  for (int j = 0; j < kTokenTiles; j++)
#pragma unroll
    for (int i = 0; i < 4; i++) {
      const int token = j * kTileTokens + lane % 4 * 2 + i % 2;
      const std::int64_t row = std::int64_t{tile} * 16 + lane / 4 + i / 2 * 8;
      if (token >= a.inputs.m || row >= a.n) continue;
      if (a.num_slices == 1)
        put(a.out, token, row, sums[j][i]);
      else
        a.partial[(std::int64_t{slice} * a.inputs.m + token) * a.n + row] = sums[j][i];
    }
}

template <class T, class Shape, int kTokenTiles>
__global__ void __launch_bounds__(kWarpsOf<kTokenTiles> * 32, 1) quantized_gemm(const Arguments a) {
  constexpr int kRowTiles = kRowTilesOf<Shape::kBits, kTokenTiles>, kDepth = kDepthOf<Shape, kTokenTiles>;
  constexpr int kSumsStride = kTokenTiles * kTileTokens, kUnitPieces = Shape::kAtoms * 4;
  extern __shared__ uint4 shared[];
  T* x = reinterpret_cast<T*>(shared);                                  // [m][x_stride]
  float* sums = reinterpret_cast<float*>(x + a.inputs.m * a.x_stride);  // [slots of the slice][kSumsStride]

  const std::uint32_t lane = threadIdx.x % 32;
  const int slice = static_cast<int>(blockIdx.x) % a.num_slices;
  const std::uint32_t first_unit = static_cast<std::uint32_t>(slice * a.slice_units);
  const std::uint32_t num_units = min(static_cast<std::uint32_t>(a.slice_units), a.w.num_units - first_unit);
  const std::uint32_t blocks = gridDim.x / a.num_slices, block = blockIdx.x / a.num_slices;
  // A tail of fewer tiles than warps goes to different blocks.
  const std::uint32_t step = blocks * kWarpsOf<kTokenTiles> * kRowTiles,
                      first = (threadIdx.x / 32 * blocks + block) * kRowTiles;

  Unit<Shape> units[kDepth][kRowTiles];
  std::uint32_t fetch_tile = first, fetch_unit_idx = 0;
  const auto fetch = [&](Unit<Shape>(&unit)[kRowTiles]) {
    if (fetch_tile >= a.w.num_tiles) return;
#pragma unroll
    for (int r = 0; r < kRowTiles; r++)
      fetch_unit(unit[r], a.w, min(fetch_tile + r, a.w.num_tiles - 1), first_unit + fetch_unit_idx, lane);
    if (++fetch_unit_idx == num_units) fetch_unit_idx = 0, fetch_tile += step;
  };
#pragma unroll
  for (int i = 0; i < kDepth; i++) fetch(units[i]);

  const int num_pieces = static_cast<int>(num_units) * kUnitPieces;
  StagedPieces pieces(num_pieces);
  enter_chain();
  stage_inputs<T, Shape::kSlotAtoms>(pieces, static_cast<const T*>(a.inputs.x) + first_unit * Shape::kInputs,
                                     a.inputs.stride, a.inputs.m, num_pieces, x, a.x_stride, sums,
                                     kSumsStride);
  __syncthreads();

  UnitInputs<T, kTokenTiles> inputs;
#pragma unroll
  for (int j = 0; j < kTokenTiles; j++)  // lanes without a token compute the last one again, for nobody
    inputs.x[j] =
        x + min(j * kTileTokens + static_cast<int>(lane / 4), a.inputs.m - 1) * a.x_stride + lane % 4 * 8;
  inputs.sums = sums + lane % 4 * 2;
  inputs.sums_stride = kSumsStride;

  float out[kRowTiles][kTokenTiles][4] = {};
  std::uint32_t tile = first, unit_idx = 0;
  while (tile < a.w.num_tiles) {
#pragma unroll
    for (int i = 0; i < kDepth; i++) {
      if (tile >= a.w.num_tiles) break;
      multiply_unit<T, Shape, kRowTiles, kTokenTiles>(units[i], static_cast<int>(unit_idx), inputs, out);
      fetch(units[i]);
      if (++unit_idx < num_units) continue;
#pragma unroll
      for (int r = 0; r < kRowTiles; r++) {
        if (tile + r < a.w.num_tiles) write_tile<kTokenTiles>(a, slice, tile + r, out[r]);
#pragma unroll
        for (int j = 0; j < kTokenTiles; j++) out[r][j][0] = out[r][j][1] = out[r][j][2] = out[r][j][3] = 0;
      }
      unit_idx = 0, tile += step;
    }
  }
}

// Tiles of tokens of the kernel for m tokens, and what it is made for.
struct Variant {
  int token_tiles, row_tiles, num_warps;
};
template <int kTokenTiles>
Variant variant_of(int bits) {
  return {kTokenTiles, bits == 4 ? kRowTilesOf<4, kTokenTiles> : kRowTilesOf<8, kTokenTiles>,
          kWarpsOf<kTokenTiles>};
}
Variant variant(int bits, int m) {
  return m <= 16 ? variant_of<2>(bits) : m <= 32 ? variant_of<4>(bits) : variant_of<8>(bits);
}

template <class T, class Shape, int kTokenTiles>
cudaError_t launch(const Arguments& a, const GemmPlan& plan, cudaStream_t stream) {
  return launch_chained(quantized_gemm<T, Shape, kTokenTiles>, plan.num_blocks, kWarpsOf<kTokenTiles> * 32,
                        plan.shared_bytes, stream, a);
}

template <class T, class Shape>
cudaError_t launch_for_tokens(const Arguments& a, const GemmPlan& plan, cudaStream_t stream) {
  switch (variant(Shape::kBits, a.inputs.m).token_tiles) {
    case 2:
      return launch<T, Shape, 2>(a, plan, stream);
    case 4:
      return launch<T, Shape, 4>(a, plan, stream);
    default:
      return launch<T, Shape, 8>(a, plan, stream);
  }
}

// With room for every token that the kernel is made for, so that how a row is summed does not depend on m.
std::int64_t shared_bytes(const QuantizedLayout& layout, int num_tokens, std::int64_t slice_inputs) {
  return num_tokens *
         (shared_stride(slice_inputs) * 2 + slice_inputs / (slot_atoms(layout) * kAtomInputs) * 4);
}

}  // namespace

GemmPlan plan_quantized_gemm(const QuantizedLayout& layout, int m, int num_multiprocessors,
                             std::size_t max_shared_bytes) {
  constexpr std::int64_t kMinSliceUnits = 4;  // below that more slices cost more than their warps bring
  const std::int64_t unit_inputs = unit_atoms(layout.bits, slot_atoms(layout)) * kAtomInputs;
  const std::int64_t num_units = layout.padded_k() / unit_inputs;
  const Variant kernel = variant(layout.bits, m);
  const std::int64_t num_tasks = divide_up(layout.num_tiles(), kernel.row_tiles);
  const int num_tokens = kernel.token_tiles * kTileTokens;

  std::int64_t slices = num_multiprocessors * kernel.num_warps / num_tasks;
  if (slices > num_units / kMinSliceUnits) slices = num_units / kMinSliceUnits;
  if (slices > num_multiprocessors) slices = num_multiprocessors;
  if (slices < 1) slices = 1;
  while (shared_bytes(layout, num_tokens, divide_up(num_units, slices) * unit_inputs) >
         static_cast<std::int64_t>(max_shared_bytes))
    slices++;
  GemmPlan plan;
  plan.slice_units = static_cast<int>(divide_up(num_units, slices));
  plan.num_slices = static_cast<int>(divide_up(num_units, plan.slice_units));
  const std::int64_t blocks = num_multiprocessors / plan.num_slices;  // for each slice
  plan.num_blocks = plan.num_slices * static_cast<int>(blocks < 1           ? 1
                                                       : blocks < num_tasks ? blocks
                                                                            : num_tasks);
  plan.shared_bytes =
      static_cast<std::size_t>(shared_bytes(layout, num_tokens, plan.slice_units * unit_inputs));
  return plan;
}

cudaError_t launch_quantized_gemm(const QuantizedMatrixPointers& w, const QuantizedInputs& inputs,
                                  const GemmPlan& plan, float* partial, const LinearOutput& out,
                                  cudaStream_t stream) {
  const std::int64_t slice_inputs =
      plan.slice_units * unit_atoms(w.layout.bits, slot_atoms(w.layout)) * kAtomInputs;
  const Arguments a{quantized_tiles(w),
                    inputs,
                    w.layout.n,
                    plan.num_slices,
                    plan.slice_units,
                    static_cast<int>(shared_stride(slice_inputs)),
                    out,
                    partial};
  cudaError_t status = cudaSuccess;
  with_unit_shape(w.layout, [&](auto x, auto shape) {
    status = launch_for_tokens<decltype(x), decltype(shape)>(a, plan, stream);
  });
  return status;
}

}  // namespace lmdeploy::ops::cuda
