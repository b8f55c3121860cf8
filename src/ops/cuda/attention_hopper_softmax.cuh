#pragma once
// The online softmax of FlashAttention-2 (Dao 2023, section 3.1) over tiles of kTokens tokens, in the two
// rows that a lane has a part of: g and g + 8 of its warp's, as wgmma.cuh lays out sums.
#include "ops/cuda/attention_hopper.cuh"

namespace lmdeploy::ops::cuda {

template <int kTokens>
class HopperSoftmax {
 public:
  static constexpr int kScores = kTokens / 2;  // of a lane

  // e: 0 for row g, 1 for row g + 8. factor: of the row's products, see QueryRow.
  __device__ void begin_row(int e, int position, float factor) {
    position_[e] = position;
    factor_[e] = factor;
    max_[e] = -INFINITY;
    weight_[e] = 0;
  }

  // -inf where a row does not see the token.
  __device__ __forceinline__ void hide(const AttentionArguments& a, int token,
                                       float (&scores)[kScores]) const {
#pragma unroll
    for (int e = 0; e < 2; e++) {
      const int last = position_[e] - token - 2 * (lane_idx() % 4),
                hidden = a.window > 0 ? last - a.window : -kTokens;  // the last one before the window
#pragma unroll
      for (int n = 0; n < kTokens / 8; n++)
#pragma unroll
        for (int i = 0; i < 2; i++) {
          const int column = 8 * n + i;
          if (column > last || column <= hidden) scores[4 * n + 2 * e + i] = -INFINITY;
        }
    }
  }

  // Scores, which still lack their row's factor, become weights of the values; shrink: what the sums so far
  // are to be multiplied by. Until a row sees its first token its base is 0, which makes its weights 0
  // instead of NaN.
  __device__ __forceinline__ void weigh(float (&scores)[kScores], float (&shrink)[2]) {
#pragma unroll
    for (int e = 0; e < 2; e++) {
      float top[2] = {-INFINITY, -INFINITY};
#pragma unroll
      for (int n = 0; n < kTokens / 8; n++)
#pragma unroll
        for (int i = 0; i < 2; i++) top[i] = fmaxf(top[i], scores[4 * n + 2 * e + i]);
      const float new_max = fmaxf(max_[e], quad_max(fmaxf(top[0], top[1])) * factor_[e]),
                  base = new_max == -INFINITY ? 0.0F : new_max;
      shrink[e] = fast_exp2(max_[e] - base);
      max_[e] = new_max;
      float weight[2] = {weight_[e] * shrink[e], 0};
#pragma unroll
      for (int n = 0; n < kTokens / 8; n++)
#pragma unroll
        for (int i = 0; i < 2; i++) {
          float& w = scores[4 * n + 2 * e + i];
          w = fast_exp2(fmaf(w, factor_[e], -base));
          weight[i] += w;
        }
      weight_[e] = weight[0] + weight[1];
    }
  }
  // Of both rows, as far as this lane has seen them.
  __device__ float lane_weight() const { return weight_[0] + weight_[1]; }
  // 1 / the sum of a row's weights.
  __device__ float inverse(int e) const { return inverse_weight(quad_sum(weight_[e])); }

 private:
  // Over the lanes that hold the same row.
  static __device__ float quad_max(float x) {
    x = fmaxf(x, __shfl_xor_sync(kWholeWarp, x, 1));
    return fmaxf(x, __shfl_xor_sync(kWholeWarp, x, 2));
  }
  static __device__ float quad_sum(float x) {
    x += __shfl_xor_sync(kWholeWarp, x, 1);
    return x + __shfl_xor_sync(kWholeWarp, x, 2);
  }

  int position_[2];
  float factor_[2], max_[2];
  float weight_[2];  // of the tokens that this lane has seen
};

}  // namespace lmdeploy::ops::cuda
