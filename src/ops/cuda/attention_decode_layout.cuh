#pragma once
// What lies where in the products of a warp of the decode kernel, and codes as their operands: g and t as in
// warp_mma.cuh.
#include "ops/cuda/attention_slabs.cuh"
#include "ops/cuda/kv_codes.cuh"

namespace lmdeploy::ops::cuda {

template <class Shape>
struct DecodeLayout {
  using Kv = typename Shape::Kv;

  // 4 bits of values are multiplied as code + 16 instead of code - 8. What that adds is found as a product of
  // the same rounded weights with ones: weights that were not rounded would leave part of it.
  static constexpr bool kRaises = Kv::kBits == 4;
  static constexpr float kValueRaise = kRaises ? kNibbleRaise + Kv::kCenter : 0.0F;
  static constexpr float kKeyCenter = kRaises ? -kNibbleRaise : Kv::kCenter;

  static __device__ int g() { return lane_idx() / 4; }
  static __device__ int t() { return lane_idx() % 4; }

  // Row of a query of this lane; column of a row in the tiles.
  static __device__ int row_of(int n, int e) { return Shape::kPerLane == 1 ? t() : 8 * n + 2 * t() + e; }
  static __device__ int column_of(int row) { return Shape::kPerLane == 1 ? 2 * row : row; }

  // The first of the two dimensions that register i of a step of q.k holds: where they lie in the keys
  // decides.
  static __device__ int query_dimension(int step, int i) {
    if constexpr (!Kv::kQuantized)
      return 16 * step + 8 * i + 2 * t();
    else if constexpr (Kv::kBits == 8)
      return 16 * step + 4 * t() + 2 * i;
    else
      return 32 * (step / 2) + 8 * t() + 4 * (step % 2) + 2 * i;
  }
  // The dimension that row g, or row g + 8, of a tile of the sum stands for.
  static __device__ int value_dimension(int tile, int half) {
    if constexpr (!Kv::kQuantized)
      return 16 * tile + 8 * half + g();
    else if constexpr (Kv::kBits == 8)
      return 16 * tile + 2 * g() + half;
    else
      return 32 * (tile / 2) + 8 * (g() / 2) + 4 * (tile % 2) + 2 * half + g() % 2;
  }

  // Registers of keys (A of q.k) from words of codes, of values (A of the sum) from transposed ones.
  template <int kPair>
  static __device__ unsigned key_codes(unsigned word, int step) {
    if constexpr (Kv::kBits == 8)
      return bytes_to_floats<__half, 2 * kPair, 2 * kPair + 1>(word);
    else
      return nibbles_to_raised_floats<__half>(word, 2 * step + kPair);
  }

  template <int kHalf>
  static __device__ unsigned value_codes(unsigned word, int step) {
    if constexpr (Kv::kBits == 8)
      return byte_and_next_but_one_to_bf16<kHalf>(word);
    else
      return nibbles_to_raised_floats<__nv_bfloat16>(word, 2 * step + kHalf);
  }
};

}  // namespace lmdeploy::ops::cuda
