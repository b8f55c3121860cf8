#pragma once
// The decode kernel's tokens on their way to shared memory: each warp has slabs of its own there, which it
// alone starts and waits for.
#include "ops/cuda/attention_splits.cuh"

namespace lmdeploy::ops::cuda {

// kRows: one of decode_rows(). A lane has two neighbouring queries of each tile, of four rows only the first
// of the two: every other column of the tile is then 0, and the softmax half the work.
template <class KvIn, int kRowsIn>
struct DecodeShape {
  using Kv = KvIn;
  static constexpr int kRows = kRowsIn;
  static constexpr int kQueryTiles = kRows <= 8 ? 1 : 2;
  static constexpr int kPerLane = kRows == 4 ? 1 : 2;
  static constexpr int kFewestWarps = Kv::kHeadDim <= 128 ? 4 : 2;  // of a CTA
  static constexpr int kTokenTiles = Kv::kQuantized ? 2 : 1;
  static constexpr int kSlabLen = 16 * kTokenTiles;
  static constexpr int kSteps = Kv::kHeadDim / 16;      // of q.k, and tiles of dimensions of the sum
  static constexpr int kStepsPerChunk = 8 / Kv::kBits;  // of codes
  static constexpr bool kKeepsQueries = kSteps * kQueryTiles <= 16;  // in registers
  // A stage holds keys, values, then scales and minima of both. Behind the stages lie the queries, in rows
  // that fall into different banks, and the step's own token as a stage holds one.
  static constexpr int kHalfBytes = kSlabLen * Kv::kRowBytes;
  static constexpr int kStageBytes = 2 * kHalfBytes + (Kv::kQuantized ? 4 * kSlabLen * 2 : 0);
  static constexpr int kQueryStride = Kv::kHeadDim + 8;
  static constexpr int kQueryBytes = 8 * kQueryTiles * kQueryStride * 2;
  static constexpr int kTokenBytes = 2 * Kv::kRowBytes + 16;
  static constexpr int kBytesOfAll = kQueryBytes + kTokenBytes + kRows * static_cast<int>(sizeof(QueryRow));
  static constexpr int kStages = kFewestWarps * 3 * kStageBytes + kBytesOfAll <= kMaxSharedBytes ? 3 : 2;
  static constexpr int kWarpBytes = kStages * kStageBytes;
  static constexpr int shared_bytes(int num_warps) { return num_warps * kWarpBytes + kBytesOfAll; }
  static_assert(shared_bytes(kFewestWarps) <= kMaxSharedBytes);
  // The sums of the warps meet where the stages were, and the shares of the splits behind them.
  static constexpr int kSumStride = Kv::kHeadDim + 4;
  static constexpr int kSumBytes = kRows * (kSumStride + 2) * 4;  // of a warp
  static_assert(kFewestWarps * kSumBytes + kMaxSplits * kRows * 4 <= kFewestWarps * kWarpBytes);
  // CTAs of the fewest warps that a multiprocessor runs at a time, as far as registers decide: no more than
  // fit into the 227 KiB of Hopper, and two of the shapes with many sums. The warps of all of them may also
  // form two CTAs, each of which shares a multiprocessor with half of another kernel.
  static constexpr int kMostAtOnce = kRows <= 8 && kRows * Kv::kHeadDim <= 1024 ? 4 : 2;
  static constexpr int kFitting =
      (227 << 10) / (shared_bytes(kFewestWarps) + (1 << 10));  // 1 KiB is the system's
  static constexpr int kAtOnce = kFitting < kMostAtOnce ? kFitting : kMostAtOnce;
  static constexpr int kMostWarps = kFewestWarps * kAtOnce / 2, kMostThreads = kMostWarps * kWarpLen;
  static_assert(kMostWarps >= kFewestWarps);
};

// Of the CTA.
__device__ inline int warp_idx() {
  return static_cast<int>(threadIdx.x) / kWarpLen;
}
__device__ inline int num_warps() {
  return static_cast<int>(blockDim.x) / kWarpLen;
}

// Copies a slab of a page, keys and values, into a stage. Tokens from num_valid on become 0: what lies there
// may be NaN, which a weight of 0 does not undo.
template <class Shape>
__device__ void copy_slab(const char* page, std::int64_t half_bytes, int token, int num_valid,
                          unsigned stage) {
  using Kv = typename Shape::Kv;
  constexpr int kParameters = Kv::kQuantized ? kParameterBytes : 0;
#pragma unroll
  for (int half = 0; half < 2; half++) {
    const char* from = page + half * half_bytes + kParameters + token * Kv::kRowBytes;
#pragma unroll
    for (int i = 0; i < Shape::kSlabLen * Kv::kChunks / kWarpLen; i++) {
      const int idx = lane_idx() + i * kWarpLen, row = idx / Kv::kChunks, chunk = idx % Kv::kChunks;
      copy_async(stage + half * Shape::kHalfBytes + SwizzledTile<Kv::kChunks>::idx(row, chunk) * 16,
                 from + idx * 16, row < num_valid);
    }
  }
  if constexpr (Kv::kQuantized) {
    constexpr int kPieces = Shape::kSlabLen * 2 / 16;  // of each of four arrays
    const int array = lane_idx() / kPieces, piece = lane_idx() % kPieces;
    if (array < 4)
      copy_async(stage + 2 * Shape::kHalfBytes + lane_idx() * 16,
                 page + array / 2 * half_bytes + array % 2 * kPageLen * 2 + token * 2 + piece * 16);
  }
}

// The slabs of a warp, every num_warps()-th of the CTA's; kStages of them are on their way at first, and all
// but the one in use later.
template <class Shape>
class SlabStream {
 public:
  // num_stored: tokens of the sequence that the cache holds; the others' rows become 0.
  __device__ SlabStream(const AttentionArguments& a, const Sequence& seq, int kv_head, const Pages& pages,
                        int num_stored, char* stages)
      : a_(a), seq_(seq), kv_head_(kv_head), num_stored_(num_stored), stages_(stages) {
    next_ = pages.begin * kPageLen + warp_idx() * Shape::kSlabLen;
    end_ = min(pages.end * kPageLen, seq.context_len);
    current_ = next_;
    find_block();
#pragma unroll
    for (int i = 0; i < Shape::kStages; i++) start_next();
  }

  // Waits for the next slab. Null behind the last.
  __device__ char* take(int& token) {
    token = current_;
    if (current_ >= end_) return nullptr;
    wait_copies<Shape::kStages - 1>();
    __syncwarp();
    current_ += step();
    char* stage = stages_ + read_stage_ * Shape::kStageBytes;
    read_stage_ = read_stage_ + 1 == Shape::kStages ? 0 : read_stage_ + 1;
    return stage;
  }
  // Fills the stage again that was taken last.
  __device__ void release() {
    __syncwarp();
    start_next();
  }

 private:
  static __device__ int step() { return num_warps() * Shape::kSlabLen; }

  // Reads the block's number a slab ahead of its use.
  __device__ void find_block() {
    if (next_ >= end_) return;
    const TokenPlace place = place_of(a_.cache, next_);
    next_block_ = seq_.block_table[place.block_idx];
    next_offset_ = place.offset;
  }
  __device__ void start_next() {
    if (next_ < end_) {
      const char* page = page_of(a_.cache, next_block_, next_offset_, kv_head_);
      copy_slab<Shape>(page, a_.cache.half_bytes, next_ % kPageLen, num_stored_ - next_,
                       shared_address(stages_) + static_cast<unsigned>(write_stage_ * Shape::kStageBytes));
      write_stage_ = write_stage_ + 1 == Shape::kStages ? 0 : write_stage_ + 1;
      next_ += step();
      find_block();
    }
    commit_copies();
  }

  const AttentionArguments& a_;
  const Sequence& seq_;
  int kv_head_, num_stored_;
  char* stages_;
  int next_, end_, current_;  // tokens
  int next_block_ = 0, next_offset_ = 0;
  int read_stage_ = 0, write_stage_ = 0;
};

}  // namespace lmdeploy::ops::cuda
