#pragma once
// How the prefill kernels divide their work: a unit is a block of kRows rows of one sequence and one kv head.
// Units are numbered from the one that sees the most tokens, all kv heads of a block of rows side by side.
#include "ops/cuda/attention_rows.cuh"

namespace lmdeploy::ops::cuda {

struct RowBlock {
  int seq_idx;
  int first_row;  // of the sequence
};

// The blocks of rows of all sequences that have too many rows for the decode kernel. By a whole warp.
template <int kRows>
class RowBlocks {
 public:
  explicit __device__ RowBlocks(const AttentionArguments& a) : a_(a) {
    for (int base = 0; base < a.num_seqs; base += kWarpLen)
      total_ += static_cast<int>(__reduce_add_sync(kWholeWarp, static_cast<unsigned>(blocks_of_lane(base))));
  }

  __device__ int num_blocks() const { return total_; }

  // block_idx: below num_blocks(), counted through the sequences.
  __device__ RowBlock at(int block_idx) const {
    for (int base = 0;; base += kWarpLen) {
      const int num_blocks = blocks_of_lane(base);
      int end = num_blocks;
      for (int distance = 1; distance < kWarpLen; distance *= 2) {
        const int before = __shfl_up_sync(kWholeWarp, end, distance);
        if (lane_idx() >= distance) end += before;
      }
      const unsigned reaching = __ballot_sync(kWholeWarp, end > block_idx);
      if (reaching != 0) {
        const int lane = __ffs(static_cast<int>(reaching)) - 1;
        return {base + lane, (block_idx - __shfl_sync(kWholeWarp, end - num_blocks, lane)) * kRows};
      }
      block_idx -= __shfl_sync(kWholeWarp, end, kWarpLen - 1);
    }
  }

 private:
  // Of sequence base + lane.
  __device__ int blocks_of_lane(int base) const {
    const int s = base + lane_idx();
    const int num_rows = s < a_.num_seqs ? (a_.query_starts[s + 1] - a_.query_starts[s]) * a_.group : 0;
    return num_rows > a_.max_decode_rows ? (num_rows + kRows - 1) / kRows : 0;
  }

  const AttentionArguments& a_;
  int total_ = 0;
};

// A place in the order in which units are taken becomes the unit. The first num_multiprocessors places have
// the longest units, the next as many the other way round, and so on: so a multiprocessor that takes place i
// of every round (two CTAs side by side do, as do the rounds of a persistent one) has as much to do as the
// others, where a causal mask makes each unit a little shorter than the one before.
__device__ inline int unit_at(const AttentionArguments& a, int place) {
  const int width = a.num_multiprocessors, round = place / width, i = place % width;
  return round * width + (round % 2 == 0 ? i : width - 1 - i);
}

// What a unit computes, and of which tokens.
struct Unit {
  Sequence seq;
  int kv_head;
  int first_row, num_rows;     // of the sequence; num_rows is all that it has
  int first_token, end_token;  // that some row of the unit sees
};

// By a whole warp. unit_idx: below num_blocks() * num_kv_heads.
template <int kRows>
__device__ Unit unit_of(const AttentionArguments& a, const RowBlocks<kRows>& blocks, int unit_idx) {
  const RowBlock block = blocks.at(blocks.num_blocks() - 1 - unit_idx / a.cache.num_kv_heads);
  Unit unit;
  unit.seq = sequence_at(a, block.seq_idx);
  unit.kv_head = unit_idx % a.cache.num_kv_heads;
  unit.first_row = block.first_row;
  unit.num_rows = unit.seq.num_queries * a.group;
  const int first = unit.seq.first_position(), end_row = min(block.first_row + kRows, unit.num_rows);
  unit.first_token = first_visible(a, first + block.first_row / a.group);
  unit.end_token = first + (end_row - 1) / a.group + 1;
  return unit;
}

// At most one block of each sequence is not full, and a sequence of these kernels has more than
// max_decode_rows rows. A bound, as the device's numbers count.
template <int kRows>
std::int64_t max_units(const AttentionArguments& a) {
  const std::int64_t num_rows = a.num_rows * a.group, max_seqs = num_rows / (a.max_decode_rows + 1);
  return (num_rows / kRows + (max_seqs < a.num_seqs ? max_seqs : a.num_seqs)) * a.cache.num_kv_heads;
}

// Calls f(put), where put(at, value, next value) is store_pair() for what y is, which is looked at once.
template <class F>
__device__ __forceinline__ void with_pair_store(const AttentionArguments& a, const F& f) {
  if (!a.y_in_pairs)
    f([&](std::int64_t at, float x, float y) {
      store_result(a.y, a.y_type, at, x);
      store_result(a.y, a.y_type, at + 1, y);
    });
  else if (a.y_type == DType::f32)
    f([&](std::int64_t at, float x, float y) {
      *reinterpret_cast<float2*>(static_cast<float*>(a.y) + at) = {x, y};
    });
  else if (a.y_type == DType::bf16)
    f([&](std::int64_t at, float x, float y) {
      *reinterpret_cast<unsigned*>(static_cast<__nv_bfloat16*>(a.y) + at) = pack_pair<__nv_bfloat16>(x, y);
    });
  else
    f([&](std::int64_t at, float x, float y) {
      *reinterpret_cast<unsigned*>(static_cast<__half*>(a.y) + at) = pack_pair<__half>(x, y);
    });
}

}  // namespace lmdeploy::ops::cuda
