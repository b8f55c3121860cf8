#pragma once
// How the queries of a warpgroup's rows come to the Hopper kernel's shared memory: as 16-bit floats near 1,
// and a factor for each row that makes scores of an exp2 of its products (attention_rows.cuh).
#include "ops/cuda/attention_hopper.cuh"

namespace lmdeploy::ops::cuda {

// Where a warpgroup's queries go: a tile of kGroupRows rows, and their factors.
template <class Shape>
class HopperQueries {
  using T = typename Shape::Element;
  static constexpr int kWarpRows = 16;

 public:
  __device__ HopperQueries(char* tile, float* factors) : tile_(tile), factors_(factors) {}

  // Rows of the unit from first_row on, by the whole warpgroup.
  __device__ void load(const AttentionArguments& a, const Unit& unit, int first_row) const {
    if constexpr (!Shape::Kv::kRotated) {
      const bool in_quads =
          reinterpret_cast<std::uintptr_t>(a.q) % sizeof(float4) == 0 && a.q_stride % 4 == 0;
      if (in_quads) return load_quads(a, unit, first_row);
    }
    constexpr int kBatch = 8;
#pragma unroll 1
    for (int row = warp_row(); row < warp_row() + kWarpRows; row += kBatch)
      prepare_queries<typename Shape::Kv, kBatch>(a, unit.seq, unit.kv_head, first_row + row, 1,
                                                  unit.num_rows, Places{*this, first_row});
  }

  __device__ float factor(int row) const { return factors_[row]; }

 private:
  struct Places {
    const HopperQueries& to;
    int first_row;

    __device__ void operator()(int row, int c, T element) const {
      reinterpret_cast<T*>(to.piece(row - first_row, c / 8))[c % 8] = element;
    }
    __device__ void operator()(int row, const QueryRow& query_row) const {
      to.put_factor(row - first_row, query_row.factor);
    }
  };

  static __device__ int warp_row() {
    return static_cast<int>(threadIdx.x) % kGroupThreads / kWarpLen * kWarpRows;
  }
  // Piece of eight elements of a row.
  __device__ char* piece(int row, int piece) const {
    return tile_ + piece / 8 * Shape::kQueryColumnBytes + tile_offset(row, piece % 8);
  }
  // Never 0, as -inf is multiplied by it.
  __device__ void put_factor(int row, float factor) const {
    constexpr float kSmallestNormal = 1.17549435e-38F;
    factors_[row] = fmaxf(factor, kSmallestNormal);
  }

  // What prepare_queries does, 16 bytes at a time: eight lanes have a row, and each lane of it every eighth
  // piece. It is short: what a kernel runs once it also fetches once.
  static __device__ __forceinline__ float largest_of(const float4& x) {
    return fmaxf(fmaxf(fabsf(x.x), fabsf(x.y)), fmaxf(fabsf(x.z), fabsf(x.w)));
  }
  __device__ void load_quads(const AttentionArguments& a, const Unit& unit, int first_row) const {
    constexpr int kPieces = Shape::kHeadDim / 64, kRowsAtOnce = kWarpLen / 8,
                  kPasses = kWarpRows / kRowsAtOnce;
    constexpr float kLog2E = 1.4426950408889634F;
    const int lane_piece = lane_idx() % 8, lane_row = warp_row() + lane_idx() / 8;
    float4 x[kPasses][2 * kPieces];
#pragma unroll
    for (int pass = 0; pass < kPasses; pass++) {
      const int row = first_row + lane_row + pass * kRowsAtOnce;
      const bool is_there = row < unit.num_rows;
      const float* from = a.q + row_offset(a, unit.seq, unit.kv_head, row, a.q_stride) + lane_piece * 8;
#pragma unroll
      for (int i = 0; i < 2 * kPieces; i++)
        x[pass][i] = is_there ? *reinterpret_cast<const float4*>(from + i / 2 * 64 + i % 2 * 4) : float4{};
    }
#pragma unroll
    for (int pass = 0; pass < kPasses; pass++) {
      const int row = lane_row + pass * kRowsAtOnce;
      float largest = 0;
#pragma unroll
      for (int i = 0; i < 2 * kPieces; i++) largest = fmaxf(largest, largest_of(x[pass][i]));
#pragma unroll
      for (int distance = 1; distance < 8; distance *= 2)
        largest = fmaxf(largest, __shfl_xor_sync(kWholeWarp, largest, distance));
      const int biased_exponent = min(max(__float_as_int(largest) >> 23, 1), 253);
      const float shrink = __int_as_float((254 - biased_exponent) << 23),
                  grow = __int_as_float(biased_exponent << 23);
#pragma unroll
      for (int i = 0; i < kPieces; i++) {
        const float4 low = x[pass][2 * i], high = x[pass][2 * i + 1];
        *reinterpret_cast<uint4*>(piece(row, lane_piece + 8 * i)) = {
            pack_pair<T>(low.x * shrink, low.y * shrink), pack_pair<T>(low.z * shrink, low.w * shrink),
            pack_pair<T>(high.x * shrink, high.y * shrink), pack_pair<T>(high.z * shrink, high.w * shrink)};
      }
      if (lane_piece == 0) put_factor(row, a.scale * kLog2E * grow);
    }
  }

  char* tile_;
  float* factors_;
};

}  // namespace lmdeploy::ops::cuda
