#pragma once
// The inputs of few tokens on their way to shared memory, with the norm in front of them: the bits that
// rms_norm_kernel.cu and then stage_inputs() would give.
#include "ops/cuda/mma_tiles.cuh"
#include "ops/cuda/prologue_norm.h"
#include "ops/cuda/rms_norm.cuh"

namespace lmdeploy::ops::cuda {

// kSumAtoms: as in stage_inputs(), where k is a multiple of 32 kSumAtoms. Every thread of the block makes
// one.
template <class T, int kSumAtoms>
class NormedInputs {
 public:
  __device__ NormedInputs(const PrologueNorm& norm, int k)
      : norm_(norm), num_quads_(k / 4), order_warps_(norm_threads(k) / kNormLanes) {}

  // Before the predecessor has ended.
  __device__ void fetch_weights() {
    for_quads([&](int i, int j, int quad) {
      weights_[i][j] = quad < num_quads_ ? reinterpret_cast<const float4*>(norm_.weight)[quad] : float4{};
    });
  }

  // x: [m, k]; to: [m][to_stride], zeros behind k up to 8 padded_pieces. Others see it behind a barrier.
  __device__ void stage(const float* x, std::int64_t x_stride, int m, int padded_pieces, T* to, int to_stride,
                        float* sums, int sums_stride) {
    __shared__ float of_warps[kMaxNormedTokens][kMaxNormThreads / kNormLanes];
    const int lane = threadIdx.x % kNormLanes;
    for (int token = 0; token < m; token++) {
      load(x + token * x_stride);
      sum_squares(of_warps[token]);
    }
    __syncthreads();
    const float inverse_k = 1 / static_cast<float>(4 * num_quads_);
    for (int token = m - 1; token >= 0; token--) {  // of the last one the row is still there
      if (token < m - 1) load(x + token * x_stride);
      const float sum = sum_of_warp(lane < order_warps_ ? of_warps[token][lane] : 0.0F);
      store(norm_factor(sum, inverse_k, norm_.eps), to + token * to_stride, sums + token, sums_stride);
      for (int piece = num_quads_ / 2 + threadIdx.x; piece < padded_pieces; piece += blockDim.x)
        *reinterpret_cast<uint4*>(to + token * to_stride + piece * 8) = uint4{};
    }
  }

 private:
  // Of the warps of the norm's order (rms_norm.cuh) a warp does so many: kMaxNormedInputs by 16 warps.
  static constexpr int kWarps = 2;

  // f(i, j, quad): quad j of warp i's, for whole warps; behind the row's end the last lanes have none.
  template <class F>
  __device__ void for_quads(const F& f) const {
    const int lane = threadIdx.x % kNormLanes, warp = threadIdx.x / kNormLanes,
              num_warps = blockDim.x / kNormLanes;
#pragma unroll
    for (int i = 0; i < kWarps; i++)
#pragma unroll
      for (int j = 0; j < kNormQuads; j++) {
        const int order_warp = warp + i * num_warps, first = (order_warp + j * order_warps_) * kNormLanes;
        if (order_warp < order_warps_ && first < num_quads_) f(i, j, first + lane);
      }
  }

  __device__ void load(const float* row) {
#pragma unroll
    for (int i = 0; i < kWarps; i++)
#pragma unroll
      for (int j = 0; j < kNormQuads; j++) held_[i][j] = float4{};
    for_quads([&](int i, int j, int quad) {
      if (quad < num_quads_) held_[i][j] = reinterpret_cast<const float4*>(row)[quad];
    });
  }

  __device__ void sum_squares(float* of_warps) const {
    const int lane = threadIdx.x % kNormLanes, warp = threadIdx.x / kNormLanes,
              num_warps = blockDim.x / kNormLanes;
#pragma unroll
    for (int i = 0; i < kWarps; i++) {
      if (warp + i * num_warps >= order_warps_) break;
      float sum = 0;
#pragma unroll
      for (int j = 0; j < kNormQuads; j++) sum += sum_of_squares(held_[i][j]);
      sum = sum_of_warp(sum);
      if (lane == 0) of_warps[warp + i * num_warps] = sum;
    }
  }

  __device__ void store(float factor, T* to, float* sums, int sums_stride) const {
    for_quads([&](int i, int j, int quad) {
      const float4 y = normed(held_[i][j], factor, weights_[i][j]);
      const Quad<T> rounded = {
          {from_float<T>(y.x), from_float<T>(y.y), from_float<T>(y.z), from_float<T>(y.w)}};
      if (quad < num_quads_) reinterpret_cast<Quad<T>*>(to)[quad] = rounded;
      if constexpr (kSumAtoms > 0) {
        constexpr int kLanes = 8 * kSumAtoms;
        const float sum = sum_of_slot<kLanes>(rounded);
        if (quad % kLanes == kLanes - 1 && quad < num_quads_) sums[quad / kLanes * sums_stride] = sum;
      }
    });
  }

  // Over the quads of kLanes lanes, in the order of stage_inputs(): eight inputs one after another, which are
  // those of two lanes, then pairs of eights. In lanes with an odd index.
  template <int kLanes>
  static __device__ float sum_of_slot(const Quad<T>& mine) {
    const auto added_to = [&](float sum) {
#pragma unroll
      for (int i = 0; i < 4; i++) sum += to_float(mine.at[i]);
      return sum;
    };
    float sum = added_to(__shfl_up_sync(~0U, added_to(0), 1));
#pragma unroll
    for (int step = kLanes / 2; step > 1; step /= 2) sum += __shfl_xor_sync(~0U, sum, step);
    return sum;
  }

  PrologueNorm norm_;
  int num_quads_, order_warps_;
  float4 weights_[kWarps][kNormQuads], held_[kWarps][kNormQuads];
};

}  // namespace lmdeploy::ops::cuda
