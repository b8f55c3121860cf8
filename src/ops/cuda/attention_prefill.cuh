#pragma once
// What one warp of the prefill kernel does with a tile of tokens that the whole CTA has brought to shared
// memory: the online softmax of FlashAttention-2 (Dao 2023, section 3.1), scores, weights and sums in
// registers.
#include "ops/cuda/attention_rows.cuh"

namespace lmdeploy::ops::cuda {

template <class KvIn>
struct PrefillShape {
  using Kv = KvIn;
  static constexpr int kHeadDim = Kv::kHeadDim;
  static constexpr int kWarps = 4;
  static constexpr int kThreads = kWarps * kWarpLen;
  static constexpr int kRowTiles = kHeadDim <= 128 ? 2 : 1;  // of 16 rows, of a warp
  static constexpr int kWarpRows = 16 * kRowTiles;
  static constexpr int kRows = kWarps * kWarpRows;
  static constexpr int kTileLen = kHeadDim <= 128 ? 64 : 32;  // tokens
  static constexpr int kStripLen = 32;                        // tokens that a warp takes in at once
  static constexpr int kTokenTiles = kStripLen / 8;
  static constexpr int kSteps = kHeadDim / 16;
  static constexpr int kChunks = kHeadDim / 8;  // 16-byte pieces of a row as the products read it
  static constexpr int kHalfBytes = kTileLen * kHeadDim * 2;
  static constexpr int kQueryBytes = kRows * kHeadDim * 2;
};

// Of a token of the tile, from a quantised cache: x = scale * code + offset.
struct TokenParameters {
  float key_scale;
  float key_offset;
  float value_scale;
  float value_offset;
};

template <class Shape>
class PrefillWarp {
 public:
  using Kv = typename Shape::Kv;

  // queries: [kRows] rows in shared memory, swizzled; query_rows: of them. first_row: of the CTA, in the
  // sequence.
  __device__ PrefillWarp(const AttentionArguments& a, const Sequence& seq, int first_row, int num_rows,
                         const char* queries, const QueryRow* query_rows)
      : a_(a), queries_(queries), query_rows_(query_rows) {
    warp_row_ = static_cast<int>(threadIdx.x) / kWarpLen * Shape::kWarpRows;
    const int begin = first_row + warp_row_, end = min(begin + Shape::kWarpRows, num_rows);
    first_position_ = seq.first_position() + begin / a.group;
    last_position_ = begin < end ? seq.first_position() + (end - 1) / a.group : -1;
#pragma unroll
    for (int m = 0; m < Shape::kRowTiles; m++)
#pragma unroll
      for (int e = 0; e < 2; e++) max_[m][e] = -INFINITY;
  }

  // The tile's keys and values, kTileLen rows each, swizzled; `token` is the first.
  __device__ void add_tile(const char* keys, const char* values, const TokenParameters* parameters,
                           int token) {
#pragma unroll 1
    for (int first = 0; first < Shape::kTileLen; first += Shape::kStripLen) {
      const int bytes = first * Shape::kHeadDim * 2;
      add_strip(keys + bytes, values + bytes, parameters + first, token + first);
    }
  }

  // Calls put(row of the CTA, column, value, value of the next column) for what each lane has.
  template <class Put>
  __device__ void finish(const Put& put) {
#pragma unroll
    for (int m = 0; m < Shape::kRowTiles; m++)
#pragma unroll
      for (int e = 0; e < 2; e++) {
        const float factor = inverse_weight(row_sum(weight_[m][e])), offset = row_sum(offset_[m][e]);
#pragma unroll
        for (int n = 0; n < 2 * Shape::kSteps; n++)
          put(tile_row(m, e), 8 * n + 2 * t(), (sums_[m][n][2 * e] + offset) * factor,
              (sums_[m][n][2 * e + 1] + offset) * factor);
      }
  }
  // Calls put(row of the CTA, largest score, sum of weights), once for each row.
  template <class Put>
  __device__ void finish_weights(const Put& put) const {
#pragma unroll
    for (int m = 0; m < Shape::kRowTiles; m++)
#pragma unroll
      for (int e = 0; e < 2; e++) {
        const float weight = row_sum(weight_[m][e]);
        if (t() == 0) put(tile_row(m, e), max_[m][e], weight);
      }
  }

 private:
  __device__ void add_strip(const char* keys, const char* values, const TokenParameters* parameters,
                            int token) {
    // Tokens that no row sees would leave everything as it is.
    if (token > last_position_ || token + Shape::kStripLen <= first_visible(a_, first_position_)) return;
    float scores[Shape::kRowTiles][Shape::kTokenTiles][4] = {};
    multiply_keys(keys, scores);
    finish_scores(parameters, token, scores);
    weigh(parameters, scores);
    add_values(values, scores);
  }

  using Rows = SwizzledTile<Shape::kChunks>;
  using Scores = float[Shape::kRowTiles][Shape::kTokenTiles][4];

  static __device__ int t() { return lane_idx() % 4; }
  // Of the CTA: row g, or g + 8, of tile m of the warp.
  __device__ int tile_row(int m, int e) const { return warp_row_ + 16 * m + 8 * e + lane_idx() / 4; }

  // Over the lanes that hold the same row.
  static __device__ float row_max(float x) {
    x = fmaxf(x, __shfl_xor_sync(kWholeWarp, x, 1));
    return fmaxf(x, __shfl_xor_sync(kWholeWarp, x, 2));
  }
  static __device__ float row_sum(float x) {
    x += __shfl_xor_sync(kWholeWarp, x, 1);
    return x + __shfl_xor_sync(kWholeWarp, x, 2);
  }

  __device__ void multiply_keys(const char* keys, Scores& scores) const {
    unsigned first_query =
                 shared_address(queries_) + 16 * Rows::idx(warp_row_ + lane_idx() % 16, lane_idx() / 16),
             first_key = shared_address(keys) +
                         16 * Rows::idx(lane_idx() % 8 + lane_idx() / 16 * 8, lane_idx() / 8 % 2);
    renew(first_query);
    renew(first_key);
#pragma unroll
    for (int step = 0; step < Shape::kSteps; step++) {
      unsigned q[Shape::kRowTiles][4];
#pragma unroll
      for (int m = 0; m < Shape::kRowTiles; m++)
        load_matrices<false>(q[m], Rows::moved(first_query, 16 * m, 2 * step));
#pragma unroll
      for (int n = 0; n < Shape::kTokenTiles; n += 2) {
        unsigned k[4];
        load_matrices<false>(k, Rows::moved(first_key, 8 * n, 2 * step));
#pragma unroll
        for (int m = 0; m < Shape::kRowTiles; m++) {
          multiply_add<typename Kv::Query>(scores[m][n], q[m], k[0], k[1]);
          multiply_add<typename Kv::Query>(scores[m][n + 1], q[m], k[2], k[3]);
        }
      }
    }
  }

  // Products with codes become products with keys; -inf where a row does not see the token.
  __device__ void finish_scores(const TokenParameters* parameters, int token, Scores& scores) const {
    const bool all_visible =
        token + Shape::kStripLen <= first_position_ + 1 && token >= first_visible(a_, last_position_);
    QueryRow rows[Shape::kRowTiles][2];
#pragma unroll
    for (int m = 0; m < Shape::kRowTiles; m++)
#pragma unroll
      for (int e = 0; e < 2; e++) rows[m][e] = query_rows_[tile_row(m, e)];
#pragma unroll
    for (int n = 0; n < Shape::kTokenTiles; n++)
#pragma unroll
      for (int i = 0; i < 2; i++) {
        const int column = 8 * n + 2 * t() + i;
        [[maybe_unused]] TokenParameters key;
        if constexpr (Kv::kQuantized) key = parameters[column];
#pragma unroll
        for (int m = 0; m < Shape::kRowTiles; m++)
#pragma unroll
          for (int e = 0; e < 2; e++) {
            float& score = scores[m][n][2 * e + i];
            if constexpr (Kv::kQuantized) score = fmaf(score, key.key_scale, key.key_offset * rows[m][e].sum);
            if (!all_visible && !is_visible(a_, token + column, rows[m][e].position)) score = -INFINITY;
          }
      }
  }

  // Scores, which still lack their row's factor, become weights of the values, and what there was shrinks to
  // the new maximum. Until a row sees its first token its base is 0, which makes its weights 0 instead of
  // NaN.
  __device__ void weigh(const TokenParameters* parameters, Scores& scores) {
    float factor[Shape::kRowTiles][2], base[Shape::kRowTiles][2], shrink[Shape::kRowTiles][2];
    bool shrinks = false;
#pragma unroll
    for (int m = 0; m < Shape::kRowTiles; m++)
#pragma unroll
      for (int e = 0; e < 2; e++) {
        float top = -INFINITY;
#pragma unroll
        for (int n = 0; n < Shape::kTokenTiles; n++)
          top = fmaxf(top, fmaxf(scores[m][n][2 * e], scores[m][n][2 * e + 1]));
        factor[m][e] = query_rows_[tile_row(m, e)].factor;
        const float old_max = max_[m][e], new_max = fmaxf(old_max, row_max(top) * factor[m][e]);
        base[m][e] = new_max == -INFINITY ? 0.0F : new_max;
        max_[m][e] = new_max;
        shrink[m][e] = fast_exp2(old_max - base[m][e]);
        shrinks = shrinks || shrink[m][e] != 1.0F;
      }
    if (__any_sync(kWholeWarp, shrinks)) shrink_sums(shrink);
#pragma unroll
    for (int n = 0; n < Shape::kTokenTiles; n++)
#pragma unroll
      for (int i = 0; i < 2; i++) {
        [[maybe_unused]] TokenParameters token;
        if constexpr (Kv::kQuantized) token = parameters[8 * n + 2 * t() + i];
#pragma unroll
        for (int m = 0; m < Shape::kRowTiles; m++)
#pragma unroll
          for (int e = 0; e < 2; e++) {
            float& w = scores[m][n][2 * e + i];
            w = fast_exp2(fmaf(w, factor[m][e], -base[m][e]));
            weight_[m][e] += w;
            if constexpr (Kv::kQuantized) w = scaled_weight(token, w, offset_[m][e]);
          }
      }
  }
  __device__ void shrink_sums(const float (&shrink)[Shape::kRowTiles][2]) {
#pragma unroll
    for (int m = 0; m < Shape::kRowTiles; m++)
#pragma unroll
      for (int e = 0; e < 2; e++) {
        weight_[m][e] *= shrink[m][e];
        if constexpr (Kv::kQuantized) offset_[m][e] *= shrink[m][e];
#pragma unroll
        for (int n = 0; n < 2 * Shape::kSteps; n++) {
          sums_[m][n][2 * e] *= shrink[m][e];
          sums_[m][n][2 * e + 1] *= shrink[m][e];
        }
      }
  }
  // A weight of 0 stays 0: scale and minimum of a slot without a token may be NaN.
  static __device__ float scaled_weight(const TokenParameters& token, float weight, float& offsets) {
    if (weight == 0) return 0;
    offsets = fmaf(weight, token.value_offset, offsets);
    return weight * token.value_scale;
  }

  __device__ void add_values(const char* values, const Scores& weights) {
    unsigned first = shared_address(values) + 16 * Rows::idx(lane_idx() % 16, lane_idx() / 16);
    renew(first);
#pragma unroll
    for (int step = 0; step < Shape::kTokenTiles / 2; step++) {
      unsigned w[Shape::kRowTiles][4];
#pragma unroll
      for (int m = 0; m < Shape::kRowTiles; m++)
#pragma unroll
        for (int i = 0; i < 4; i++) {
          const float* pair = weights[m][2 * step + i / 2] + i % 2 * 2;
          w[m][i] = pack_pair<typename Kv::Weight>(pair[0], pair[1]);
        }
#pragma unroll
      for (int n = 0; n < 2 * Shape::kSteps; n += 2) {
        unsigned v[4];
        load_matrices<true>(v, Rows::moved(first, 16 * step, n));
#pragma unroll
        for (int m = 0; m < Shape::kRowTiles; m++) {
          multiply_add<typename Kv::Weight>(sums_[m][n], w[m], v[0], v[1]);
          multiply_add<typename Kv::Weight>(sums_[m][n + 1], w[m], v[2], v[3]);
        }
      }
    }
  }

  const AttentionArguments& a_;
  const char* queries_;
  const QueryRow* query_rows_;
  int warp_row_;
  int first_position_, last_position_;  // of the warp's rows
  float max_[Shape::kRowTiles][2];
  float weight_[Shape::kRowTiles][2] = {};  // of the tokens that this lane has seen, as offset_
  float offset_[Shape::kRowTiles][2] = {};
  float sums_[Shape::kRowTiles][2 * Shape::kSteps][4] = {};
};

}  // namespace lmdeploy::ops::cuda
