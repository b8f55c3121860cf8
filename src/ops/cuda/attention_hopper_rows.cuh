#pragma once
// What a warpgroup of the Hopper kernel does with its 64 rows: scores, weights and sums in registers.
#include "ops/cuda/attention_hopper_queries.cuh"
#include "ops/cuda/attention_hopper_softmax.cuh"

#ifdef __CUDA_ARCH_FEAT_SM90_ALL
namespace lmdeploy::ops::cuda {

template <class Shape>
class HopperRows {
  using T = typename Shape::Element;
  using Range = TileRange<Shape::kTokens>;
  using Softmax = HopperSoftmax<Shape::kTokens>;
  static constexpr int kScores = Softmax::kScores, kSums = Shape::kHeadDim / 2;  // of a lane
  static constexpr int kSteps = Shape::kTokens / 16;

 public:
  // group: 0 or 1. shared: aligned to 1024 bytes.
  __device__ HopperRows(const AttentionArguments& a, const HopperBarriers& barriers, char* shared, int group)
      : a_(a), barriers_(barriers), shared_(shared), group_(group) {
    if (group_ == 1) signal_threads(kFirstTurn, Shape::kRowThreads);  // the first turn is the other's
  }

  __device__ __forceinline__ void attend(const Unit& unit) {
    load_queries(unit);
    begin_rows(unit);
    const Range range(unit);
    if (range.num_tiles > 0) {
      add_keys_alone(range.token(range.num_tiles - 1));
#pragma unroll 1
      for (int tile = range.num_tiles - 2; tile >= 0; tile--) {
        clear_values(range, tile + 1);
        if (all_visible(range.token(tile)))
          add_tile<false>(range.token(tile));
        else
          add_tile<true>(range.token(tile));
      }
      clear_values(range, 0);
      add_values_alone();
    }
    store(unit);
  }

 private:
  static __device__ int t() { return lane_idx() % 4; }
  // Of the warpgroup: row g, or g + 8, of the warp's.
  static __device__ int group_row(int e) {
    return static_cast<int>(threadIdx.x) % kGroupThreads / kWarpLen * 16 + 8 * e + lane_idx() / 4;
  }
  __device__ HopperQueries<Shape> queries() const {
    return {shared_ + Shape::kQueries + group_ * Shape::kQueryBytes,
            reinterpret_cast<float*>(shared_ + Shape::kFactors) + group_ * Shape::kGroupRows};
  }

  __device__ void load_queries(const Unit& unit) {
    sync_threads(kFirstGroup + group_, kGroupThreads);  // all are done with those before
    queries().load(a_, unit, unit.first_row + group_ * Shape::kGroupRows);
    fence_async_accesses();
    sync_threads(kFirstGroup + group_, kGroupThreads);
  }

  __device__ void begin_rows(const Unit& unit) {
    const int first_row = unit.first_row + group_ * Shape::kGroupRows,
              first_position = unit.seq.first_position(),
              last_row = max(min(first_row + Shape::kGroupRows, unit.num_rows) - 1, first_row);
    first_position_ = first_position + first_row / a_.group;
    last_position_ = first_position + last_row / a_.group;
#pragma unroll
    for (int e = 0; e < 2; e++)
      softmax_.begin_row(e, first_position + (first_row + group_row(e)) / a_.group,
                         queries().factor(group_row(e)));
#pragma unroll
    for (int i = 0; i < kSums; i++) sums_[i] = 0;
  }

  // Whether all rows see all tokens of a tile.
  __device__ bool all_visible(int token) const {
    return token + Shape::kTokens <= first_position_ + 1 && token >= first_visible(a_, last_position_);
  }

  // The first tile's keys, while no weights wait for their values.
  __device__ __forceinline__ void add_keys_alone(int token) {
    float scores[kScores], shrink[2];
    wait_phase(barriers_.keys_full + stage_bytes(keys_), keys_.parity);
    begin_products();
    multiply_keys(scores);
    commit_products();
    wait_products<0>();
    pin(scores);
    release(barriers_.keys_empty, keys_);
    softmax_.hide(a_, token, scores);
    softmax_.weigh(scores, shrink);
    pack(scores);
  }

  // A tile's keys, and the values of the one before.
  template <bool kMasked>
  __device__ __forceinline__ void add_tile(int token) {
    float scores[kScores], shrink[2];
    wait_phase(barriers_.keys_full + stage_bytes(keys_), keys_.parity);
    sync_threads(kFirstTurn + group_, Shape::kRowThreads);
    pin_operands();
    begin_products();
    multiply_keys(scores);
    commit_products();
    wait_phase(barriers_.values_full + stage_bytes(values_), values_.parity);
    begin_products();
    multiply_values();
    commit_products();
    signal_threads(kFirstTurn + (group_ ^ 1), Shape::kRowThreads);
    wait_products<1>();
    pin(scores);
    release(barriers_.keys_empty, keys_);
    if constexpr (kMasked) softmax_.hide(a_, token, scores);
    softmax_.weigh(scores, shrink);
    keep_here(softmax_.lane_weight());  // beside the products with values, not after them
    wait_products<0>();
    pin_operands();
    release(barriers_.values_empty, values_);
    pack(scores);
#pragma unroll
    for (int i = 0; i < kSums; i++) sums_[i] *= shrink[i / 2 % 2];
  }

  __device__ __forceinline__ void add_values_alone() {
    wait_phase(barriers_.values_full + stage_bytes(values_), values_.parity);
    pin_operands();
    begin_products();
    multiply_values();
    commit_products();
    wait_products<0>();
    pin_operands();
    release(barriers_.values_empty, values_);
  }

  using Ring = StageRing<Shape::kStages>;
  static __device__ unsigned stage_bytes(const Ring& ring) {
    return static_cast<unsigned>(ring.stage * HopperBarriers::kBytes);
  }
  // By one lane of each warp, as the barrier counts them.
  static __device__ void release(unsigned empty, Ring& ring) {
    __syncwarp();
    if (lane_idx() == 0) arrive(empty + stage_bytes(ring));
    ring.advance();
  }

  __device__ __forceinline__ void multiply_keys(float (&scores)[kScores]) const {
    const unsigned base = shared_address(shared_);
    const std::uint64_t query_matrix =
        describe_matrix(base + Shape::kQueries + static_cast<unsigned>(group_ * Shape::kQueryBytes), 16);
    const std::uint64_t key_matrix =
        describe_matrix(base + Shape::kKeys + static_cast<unsigned>(keys_.stage * Shape::kTokenBytes), 16);
#pragma unroll
    for (int step = 0; step < Shape::kHeadDim / 16; step++) {
      const int column = step / 4, bytes = step % 4 * 32;
      multiply_matrices<T>(scores, moved_matrix(query_matrix, column * Shape::kQueryColumnBytes + bytes),
                           moved_matrix(key_matrix, column * Shape::kTokenColumnBytes + bytes), step > 0);
    }
  }
  __device__ __forceinline__ void multiply_values() {
    const std::uint64_t values = describe_matrix(
        shared_address(shared_) + Shape::kValues + static_cast<unsigned>(values_.stage * Shape::kTokenBytes),
        Shape::kTokenColumnBytes);
#pragma unroll
    for (int step = 0; step < kSteps; step++)
      multiply_add<T>(sums_, weights_[step], moved_matrix(values, step * 16 * kTileRowBytes));
  }

  // Of the products with values, in registers.
  __device__ __forceinline__ void pin_operands() {
    pin(sums_);
#pragma unroll
    for (int step = 0; step < kSteps; step++) pin(weights_[step]);
  }

  // What x is made of is computed before what follows: ptxas moves arithmetic behind a wait for products, but
  // no store.
  __device__ void keep_here(float x) const {
    const unsigned place = shared_address(shared_) + Shape::kKept + threadIdx.x % Shape::kRowThreads * 4;
    asm volatile("st.shared.f32 [%0], %1;" ::"r"(place), "f"(x) : "memory");
  }

  // Weights as the products with values read them.
  __device__ __forceinline__ void pack(const float (&scores)[kScores]) {
#pragma unroll
    for (int step = 0; step < kSteps; step++)
#pragma unroll
      for (int i = 0; i < 4; i++) {
        const int first = 4 * (2 * step + i / 2) + i % 2 * 2;
        weights_[step][i] = pack_pair<T>(scores[first], scores[first + 1]);
      }
  }

  // Values of tokens that are not there become 0: what lies in their place may be NaN, which a weight of 0
  // does not undo. Codes are 0 there already. Both warpgroups pass here for the same tiles.
  __device__ __forceinline__ void clear_values(const Range& range, int tile) const {
    if constexpr (Shape::Kv::kQuantized) return;
    if (range.is_whole(tile)) return;
    wait_phase(barriers_.values_full + stage_bytes(values_), values_.parity);
    constexpr int kPieces = Shape::kHeadDim / 8;
    char* const values = shared_ + Shape::kValues + values_.stage * Shape::kTokenBytes;
    const int thread = static_cast<int>(threadIdx.x) % Shape::kRowThreads;
    for (int i = thread; i < Shape::kTokens * kPieces; i += Shape::kRowThreads) {
      const int row = i / kPieces, piece = i % kPieces, token = range.token(tile) + row;
      if (token >= range.begin && token < range.end) continue;
      *reinterpret_cast<uint4*>(values + piece / 8 * Shape::kTokenColumnBytes +
                                tile_offset(row, piece % 8)) = {};
    }
    fence_async_accesses();
    sync_threads(kAllRows, Shape::kRowThreads);
  }

  __device__ void store(const Unit& unit) const {
    float factor[2];
#pragma unroll
    for (int e = 0; e < 2; e++) factor[e] = softmax_.inverse(e);
    with_pair_store(a_, [&](const auto& put) {
#pragma unroll
      for (int e = 0; e < 2; e++) {
        const int row = unit.first_row + group_ * Shape::kGroupRows + group_row(e);
        if (row >= unit.num_rows) continue;
        const std::int64_t at = row_offset(a_, unit.seq, unit.kv_head, row, a_.y_stride) + 2 * t();
#pragma unroll
        for (int n = 0; n < Shape::kHeadDim / 8; n++)
          put(at + 8 * n, sums_[4 * n + 2 * e] * factor[e], sums_[4 * n + 2 * e + 1] * factor[e]);
      }
    });
  }

  const AttentionArguments& a_;
  const HopperBarriers barriers_;
  char* shared_;
  const int group_;
  Ring keys_, values_;
  int first_position_ = 0, last_position_ = 0;  // of the warpgroup's rows
  Softmax softmax_;
  unsigned weights_[kSteps][4];
  float sums_[kSums];
};

}  // namespace lmdeploy::ops::cuda
#endif
