#pragma once
// What one warp of the decode kernel does: the online softmax (Milakov & Gimelshein 2018) of up to 16 rows
// over slabs of 16 or 32 tokens, whose copies it alone starts and waits for. The products are transposed,
// tokens and dimensions in the 16 rows of an mma and queries in its 8 columns: few queries then waste little,
// and scores, sums and what was accumulated all have a query in the same place of the same lane.
#include "ops/cuda/attention_decode_layout.cuh"

namespace lmdeploy::ops::cuda {

template <class Shape>
class DecodeWarp : DecodeLayout<Shape> {
 public:
  using Kv = typename Shape::Kv;

  // queries: by columns, [8 kQueryTiles][kQueryStride] in shared memory.
  __device__ DecodeWarp(const AttentionArguments& a, const Sequence& seq, const typename Kv::Query* queries,
                        const QueryRow* query_rows)
      : a_(a),
        first_position_(seq.first_position()),
        last_position_(seq.context_len - 1),
        shared_queries_(queries) {
    if constexpr (Shape::kKeepsQueries) keep_queries();
#pragma unroll
    for (int n = 0; n < Shape::kQueryTiles; n++) {
#pragma unroll
      for (int e = 0; e < kPerLane; e++) {
        rows_[n][e] = query_rows[row_of(n, e)];
        max_[n][e] = -INFINITY;
      }
    }
  }

  // Takes in the tokens of a slab, the first of which is `token` of the sequence.
  __device__ void add_slab(const char* stage, int token) {
    float scores[Shape::kTokenTiles][Shape::kQueryTiles][4] = {};
    multiply_keys(stage, scores);
    finish_scores(stage, token, scores);
    unsigned weights[Shape::kTokenTiles][Shape::kQueryTiles][2];
    weigh(stage, scores, weights);
    add_values(stage + Shape::kHalfBytes, weights);
  }

  // Writes what the warp has: sums [kRows][kSumStride], {max, sum of weights} [kRows].
  __device__ void store(float* sums, float2* row_weights) {
#pragma unroll
    for (int n = 0; n < Shape::kQueryTiles; n++)
#pragma unroll
      for (int e = 0; e < kPerLane; e++) {
        const float weight = column_sum(weight_[n][e]);
        const float offset = column_sum(offset_[n][e]) - Layout::kValueRaise * unit_sums_[n][e];
        const int row = row_of(n, e);
        if (g() == 0) row_weights[row] = {max_[n][e], weight};
#pragma unroll
        for (int tile = 0; tile < Shape::kSteps; tile++)
#pragma unroll
          for (int half = 0; half < 2; half++)
            sums[row * Shape::kSumStride + value_dimension(tile, half)] =
                sums_[tile][n][2 * half + e] + offset;
      }
  }

 private:
  using Layout = DecodeLayout<Shape>;
  using Layout::g, Layout::t, Layout::row_of, Layout::query_dimension, Layout::value_dimension;
  static constexpr int kPerLane = Shape::kPerLane;

  __device__ void keep_queries() {
#pragma unroll
    for (int n = 0; n < Shape::kQueryTiles; n++)
#pragma unroll
      for (int step = 0; step < Shape::kSteps; step++)
#pragma unroll
        for (int i = 0; i < 2; i++) queries_[n][step][i] = shared_query(n, step, i);
  }
  __device__ unsigned shared_query(int n, int step, int i) const {
    return *reinterpret_cast<const unsigned*>(shared_queries_ + (8 * n + g()) * Shape::kQueryStride +
                                              query_dimension(step, i));
  }
  __device__ unsigned query(int n, int step, int i) const {
    if constexpr (Shape::kKeepsQueries)
      return queries_[n][step][i];
    else
      return shared_query(n, step, i);
  }
  // Over the lanes that hold the tokens of the same queries.
  static __device__ float column_max(float x) {
    for (int distance = 4; distance < kWarpLen; distance *= 2)
      x = fmaxf(x, __shfl_xor_sync(kWholeWarp, x, distance));
    return x;
  }
  static __device__ float column_sum(float x) {
    for (int distance = 4; distance < kWarpLen; distance *= 2) x += __shfl_xor_sync(kWholeWarp, x, distance);
    return x;
  }

  using Rows = SwizzledTile<Kv::kChunks>;
  using Scores = float[Shape::kTokenTiles][Shape::kQueryTiles][4];
  using Weights = unsigned[Shape::kTokenTiles][Shape::kQueryTiles][2];

  __device__ void multiply_keys(const char* keys, Scores& scores) {
    const auto multiply = [&](int tile, int step, const unsigned(&a)[4]) {
#pragma unroll
      for (int n = 0; n < Shape::kQueryTiles; n++)
        multiply_add<typename Kv::Query>(scores[tile][n], a, query(n, step, 0), query(n, step, 1));
    };
    if constexpr (!Kv::kQuantized) {
      const unsigned first = shared_address(keys) + 16 * Rows::idx(lane_idx() % 16, lane_idx() / 16);
#pragma unroll
      for (int step = 0; step < Shape::kSteps; step++) {
        unsigned a[4];
        load_matrices<false>(a, Rows::moved(first, 0, 2 * step));
        multiply(0, step, a);
      }
    } else {
      const unsigned first = shared_address(keys) + 16 * Rows::idx(lane_idx(), 0);
#pragma unroll
      for (int chunk = 0; chunk < Kv::kChunks; chunk++) {
        unsigned words[4];  // of tokens g, g + 8, g + 16, g + 24
        load_matrices<false>(words, Rows::moved(first, 0, chunk));
#pragma unroll
        for (int s = 0; s < Shape::kStepsPerChunk; s++)
#pragma unroll
          for (int tile = 0; tile < 2; tile++) {
            const unsigned a[4] = {Layout::template key_codes<0>(words[2 * tile], s),
                                   Layout::template key_codes<0>(words[2 * tile + 1], s),
                                   Layout::template key_codes<1>(words[2 * tile], s),
                                   Layout::template key_codes<1>(words[2 * tile + 1], s)};
            multiply(tile, chunk * Shape::kStepsPerChunk + s, a);
          }
      }
    }
  }
  // Scale or minimum (0, 1: of keys; 2, 3: of values) of token g + 8 * i of the slab.
  static __device__ float parameter(const char* stage, int array, int i) {
    const __half* all = reinterpret_cast<const __half*>(stage + 2 * Shape::kHalfBytes);
    return __half2float(all[array * Shape::kSlabLen + 8 * i + g()]);
  }

  // Products become scores; -inf where a query does not see the token.
  __device__ void finish_scores(const char* stage, int token, Scores& scores) const {
    const bool all_visible = token + Shape::kSlabLen <= first_position_ + 1 &&
                             (a_.window == 0 || token > last_position_ - a_.window);
#pragma unroll
    for (int i = 0; i < 2 * Shape::kTokenTiles; i++) {
      [[maybe_unused]] float scale = 1, offset = 0;
      if constexpr (Kv::kQuantized) {
        scale = parameter(stage, 0, i);
        offset = fmaf(scale, Layout::kKeyCenter, parameter(stage, 1, i));
      }
#pragma unroll
      for (int n = 0; n < Shape::kQueryTiles; n++)
#pragma unroll
        for (int e = 0; e < kPerLane; e++) {
          float& score = scores[i / 2][n][i % 2 * 2 + e];
          if constexpr (Kv::kQuantized) score = fmaf(score, scale, offset * rows_[n][e].sum);
          score *= rows_[n][e].factor;
          if (!all_visible && !is_visible(a_, token + 8 * i + g(), rows_[n][e].position)) score = -INFINITY;
        }
    }
  }

  // The softmax of a slab: weights of its values, and what there was shrinks to the new maximum. Until a
  // query sees its first token its base is 0, which makes its weights 0 instead of NaN.
  __device__ void weigh(const char* stage, const Scores& scores, Weights& weights) {
    float base[Shape::kQueryTiles][kPerLane], shrink[Shape::kQueryTiles][kPerLane];
    bool shrinks = false;
#pragma unroll
    for (int n = 0; n < Shape::kQueryTiles; n++)
#pragma unroll
      for (int e = 0; e < kPerLane; e++) {
        float top = -INFINITY;
#pragma unroll
        for (int i = 0; i < 2 * Shape::kTokenTiles; i++) top = fmaxf(top, scores[i / 2][n][i % 2 * 2 + e]);
        const float old_max = max_[n][e], new_max = fmaxf(old_max, column_max(top));
        base[n][e] = new_max == -INFINITY ? 0.0F : new_max;
        shrink[n][e] = fast_exp2(old_max - base[n][e]);
        max_[n][e] = new_max;
        shrinks = shrinks || shrink[n][e] != 1.0F;
      }
    if (__any_sync(kWholeWarp, shrinks)) shrink_sums(shrink);
#pragma unroll
    for (int tile = 0; tile < Shape::kTokenTiles; tile++)
#pragma unroll
      for (int n = 0; n < Shape::kQueryTiles; n++)
#pragma unroll
        for (int half = 0; half < 2; half++) {
          float w[2] = {};
#pragma unroll
          for (int e = 0; e < kPerLane; e++) {
            w[e] = fast_exp2(scores[tile][n][2 * half + e] - base[n][e]);
            weight_[n][e] += w[e];
            if constexpr (Kv::kQuantized) w[e] = scaled_weight(stage, 2 * tile + half, w[e], offset_[n][e]);
          }
          weights[tile][n][half] = transpose_matrix(pack_pair<typename Kv::Weight>(w[0], w[1]));
        }
  }
  // A weight of 0 stays 0: scale and minimum of a slot without a token may be NaN.
  static __device__ float scaled_weight(const char* stage, int i, float weight, float& offsets) {
    const float scale = parameter(stage, 2, i), offset = fmaf(scale, Kv::kCenter, parameter(stage, 3, i));
    offsets = fmaf(weight, weight == 0 ? 0.0F : offset, offsets);
    return weight * (weight == 0 ? 0.0F : scale);
  }
  __device__ void shrink_sums(const float (&shrink)[Shape::kQueryTiles][kPerLane]) {
#pragma unroll
    for (int n = 0; n < Shape::kQueryTiles; n++)
#pragma unroll
      for (int e = 0; e < kPerLane; e++) {
        weight_[n][e] *= shrink[n][e];
        if constexpr (Kv::kQuantized) offset_[n][e] *= shrink[n][e];
        if constexpr (Layout::kRaises) unit_sums_[n][e] *= shrink[n][e];
#pragma unroll
        for (int tile = 0; tile < Shape::kSteps; tile++) {
          sums_[tile][n][e] *= shrink[n][e];
          sums_[tile][n][2 + e] *= shrink[n][e];
        }
      }
  }

  __device__ void add_values(const char* values, const Weights& weights) {
    if constexpr (Layout::kRaises) add_units(weights);
    const auto add = [&](int tile, int token_tile, const unsigned(&a)[4]) {
#pragma unroll
      for (int n = 0; n < Shape::kQueryTiles; n++)
        multiply_add<typename Kv::Weight>(sums_[tile][n], a, weights[token_tile][n][0],
                                          weights[token_tile][n][1]);
    };
    if constexpr (!Kv::kQuantized) {
      const unsigned first =
          shared_address(values) + 16 * Rows::idx(lane_idx() % 8 + lane_idx() / 16 * 8, lane_idx() / 8 % 2);
#pragma unroll
      for (int tile = 0; tile < Shape::kSteps; tile++) {
        unsigned a[4];
        load_matrices<true>(a, Rows::moved(first, 0, 2 * tile));
        add(tile, 0, a);
      }
    } else {
      const unsigned first = shared_address(values) + 16 * Rows::idx(lane_idx(), 0);
#pragma unroll
      for (int chunk = 0; chunk < Kv::kChunks; chunk++) {
        unsigned words[4];  // of tokens 2t and 2t + 1, and of those 8, 16 and 24 later
        load_matrices<true>(words, Rows::moved(first, 0, chunk));
#pragma unroll
        for (int s = 0; s < Shape::kStepsPerChunk; s++)
#pragma unroll
          for (int tile = 0; tile < 2; tile++) {
            const unsigned a[4] = {Layout::template value_codes<0>(words[2 * tile], s),
                                   Layout::template value_codes<1>(words[2 * tile], s),
                                   Layout::template value_codes<0>(words[2 * tile + 1], s),
                                   Layout::template value_codes<1>(words[2 * tile + 1], s)};
            add(chunk * Shape::kStepsPerChunk + s, tile, a);
          }
      }
    }
  }
  __device__ void add_units(const Weights& weights) {
    constexpr unsigned kOnes[4] = {0x3f803f80, 0x3f803f80, 0x3f803f80, 0x3f803f80};  // bf16
#pragma unroll
    for (int tile = 0; tile < Shape::kTokenTiles; tile++)
#pragma unroll
      for (int n = 0; n < Shape::kQueryTiles; n++)
        multiply_add<typename Kv::Weight>(unit_sums_[n], kOnes, weights[tile][n][0], weights[tile][n][1]);
  }

  const AttentionArguments& a_;
  int first_position_, last_position_;
  const typename Kv::Query* shared_queries_;
  unsigned queries_[Shape::kQueryTiles][Shape::kKeepsQueries ? Shape::kSteps : 1][2];
  QueryRow rows_[Shape::kQueryTiles][kPerLane];
  float max_[Shape::kQueryTiles][kPerLane];
  float weight_[Shape::kQueryTiles][kPerLane] = {};  // of the tokens that this lane has seen, as offset_
  float offset_[Shape::kQueryTiles][kPerLane] = {};
  float unit_sums_[Shape::kQueryTiles][4] = {};  // of weights as the values' products have them
  float sums_[Shape::kSteps][Shape::kQueryTiles][4] = {};
};

}  // namespace lmdeploy::ops::cuda
