#pragma once
// What a warpgroup with outputs does (hopper_gemm.cuh).
#include "ops/cuda/hopper_gemm.cuh"

#ifdef __CUDA_ARCH_FEAT_SM90_ALL
namespace lmdeploy::ops::cuda {

// The units of a warp's packed tiles one after another, Shape::kDepth of them asked for ahead.
template <class Shape>
class GemmWeights {
  using Weights = typename Shape::Weights;

 public:
  // warp: of those with outputs.
  __device__ GemmWeights(const HopperGemm& gemm, uint4* ring, int warp)
      : tiles_(gemm),
        last_tile_(gemm.w.num_tiles - 1),
        warp_(warp),
        ring_(ring),
        source_(gemm.w, ring, threadIdx.x % 32),
        row_tile_(tiles_.first) {
    for (int i = 0; i < Shape::kDepth; i++) fetch(i);
  }

  // Where the next unit has come to, until drop().
  __device__ const uint4* next() {
    wait_copies<Shape::kDepth - 1>();
    __syncwarp();
    return ring_ + place_ * UnitRing<Weights>::kUnitVectors;
  }
  // All lanes are done with it.
  __device__ void drop() {
    fetch(place_);
    if (++place_ == Shape::kDepth) place_ = 0;
  }

 private:
  // Of outputs that are not there: of the last that are.
  __device__ void fetch(int place) {
    if (row_tile_ < tiles_.end) {
      source_.fetch(place, min(static_cast<std::uint32_t>(row_tile_ * kGemmWarps + warp_), last_tile_),
                    tiles_.first_unit + unit_);
      if (++unit_ == tiles_.num_units) unit_ = 0, row_tile_ += tiles_.step;
    }
    commit_copies();
  }

  const GemmTiles tiles_;
  const std::uint32_t last_tile_;
  const int warp_;
  const uint4* ring_;
  const UnitSource<Weights> source_;
  int row_tile_, place_ = 0;
  std::uint32_t unit_ = 0;
};

template <class Shape>
class GemmSums {
  using T = typename Shape::T;
  using Weights = typename Shape::Weights;
  using Barriers = GemmBarriers<Shape>;

 public:
  // shared: aligned to 1024 bytes. warp: of those with outputs.
  __device__ GemmSums(const HopperGemm& gemm, const Barriers& barriers, char* shared, int warp)
      : gemm_(gemm),
        tiles_(gemm),
        barriers_(barriers),
        inputs_(describe_matrix(shared_address(shared), 16)),
        warp_(warp),
        weights_(gemm, reinterpret_cast<uint4*>(shared + Shape::kRings) + warp * Shape::kRingVectors, warp) {}

  __device__ void compute_all() {
    for (int row_tile = tiles_.first; row_tile < tiles_.end; row_tile += tiles_.step) {
      float sums[Shape::kTokens / 2] = {};
#pragma unroll 1
      for (std::uint32_t unit = 0; unit < tiles_.num_units; unit++) add_unit(sums);
      write(row_tile, sums);
    }
  }

 private:
  // Products end before the weights of the next are made: ptxas would wait for them anyway. Other warpgroups
  // keep the tensor cores busy meanwhile.
  __device__ __forceinline__ void add_unit(float (&sums)[Shape::kTokens / 2]) {
    const std::uint32_t lane = threadIdx.x % 32;
    const uint4* place = weights_.next();
    Unit<Weights> unit;
    load_scales(unit, place, lane);
    const GroupScales<T, Weights> scales(unit);
    const unsigned barrier = static_cast<unsigned>(ring_.stage * Barriers::kBytes);
    const std::uint64_t inputs = moved_matrix(inputs_, ring_.stage * Shape::kStageBytes);
    wait_phase(barriers_.full + barrier, ring_.parity);
#pragma unroll
    for (int first = 0; first < Weights::kAtoms; first += Shape::kAtomsAtOnce) {
      constexpr int kChunkAtoms = Weights::kAtoms / Weights::kChunks;
      std::uint32_t a[Shape::kAtomsAtOnce][2][4];  // an atom is the k of two products
#pragma unroll
      for (int i = 0; i < Shape::kAtomsAtOnce; i++) {
        if ((first + i) % kChunkAtoms == 0) load_chunk(unit, (first + i) / kChunkAtoms, place, lane);
        scales.scaled_atom(unit, first + i, a[i]);
      }
      pin_all(a);
      begin_products();
#pragma unroll
      for (int i = 0; i < Shape::kAtomsAtOnce; i++)
#pragma unroll
        for (int step = 0; step < 2; step++)
          multiply_add<T, true>(sums, a[i][step], moved_matrix(inputs, inputs_at(first + i, step)));
      commit_products();
      wait_products<0>();
      pin(sums);
      pin_all(a);
    }
    __syncwarp();
    if (lane == 0) arrive(barriers_.empty + barrier);
    weights_.drop();
    ring_.advance();
  }

  // Where a step's 16 inputs begin in a stage.
  static constexpr __device__ int inputs_at(int atom, int step) {
    return atom / 2 * Shape::kTileBytes + (atom % 2 * 2 + step) * 32;
  }
  static __device__ __forceinline__ void pin_all(std::uint32_t (&a)[Shape::kAtomsAtOnce][2][4]) {
#pragma unroll
    for (int i = 0; i < Shape::kAtomsAtOnce; i++) {
      pin(a[i][0]);
      pin(a[i][1]);
    }
  }

  // As put() does it, eight tokens after another: all places at once would take more registers than there
  // are.
  __device__ __forceinline__ void write(int row_tile, const float (&sums)[Shape::kTokens / 2]) const {
    const LinearOutput& out = gemm_.out;
    const std::int64_t row = (std::int64_t{row_tile} * kGemmWarps + warp_) * kTileRows + threadIdx.x % 32 / 4;
    const bool has_row[2] = {row < gemm_.n, row + 8 < gemm_.n};
    float bias[2] = {};
#pragma unroll
    for (int e = 0; e < 2; e++)
      if (out.bias != nullptr && has_row[e]) bias[e] = out.bias[row + 8 * e];
    int token = static_cast<int>(threadIdx.x % 4) * 2;
    float* y = out.y + (tiles_.slice * std::int64_t{gemm_.inputs.m} + token) * out.stride + row;
#pragma unroll
    for (int j = 0; j < Shape::kTokens / 8; j++, token += 8, y += 8 * out.stride) {
      asm volatile("" : "+l"(y), "+r"(token));
#pragma unroll
      for (int odd = 0; odd < 2; odd++) {
        if (token + odd >= gemm_.inputs.m) break;
        const float scale = out.row_scales != nullptr ? out.row_scales[token + odd] : 1;
        float* at = y + odd * out.stride;
#pragma unroll
        for (int e = 0; e < 2; e++) {
          if (!has_row[e]) break;
          const float sum = sums[4 * j + 2 * e + odd] * scale + bias[e];
          at[8 * e] = out.accumulate ? at[8 * e] + sum : sum;
        }
      }
    }
  }

  const HopperGemm& gemm_;
  const GemmTiles tiles_;
  const Barriers barriers_;
  const std::uint64_t inputs_;
  const int warp_;
  GemmWeights<Shape> weights_;
  StageRing<Shape::kStages> ring_;
};

}  // namespace lmdeploy::ops::cuda
#endif
