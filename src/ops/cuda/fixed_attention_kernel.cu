#include "ops/cuda/attention_tiles.cuh"
#include "ops/cuda/chained_launch.cuh"
#include "ops/cuda/fixed_attention_kernel.h"

namespace lmdeploy::ops::cuda {
namespace {

// A warp's rows fill one tile: a single query fills little of one, and more would compute nothing for it.
template <class Kv>
struct FixedShape : PrefillShape<Kv> {
  static constexpr int kRowTiles = 1;
  static constexpr int kWarpRows = 16 * kRowTiles;
  static constexpr int kRows = PrefillShape<Kv>::kWarps * kWarpRows;
  static constexpr int kQueryBytes = kRows * Kv::kHeadDim * 2;
  static_assert(kRows == kFixedRows && kFixedSplitLen % PrefillShape<Kv>::kTileLen == 0);
};

// Where a CTA's shared memory has what.
template <class Shape>
struct FixedMemory {
  static constexpr int kQueryRows = Shape::kQueryBytes,
                       kTiles = kQueryRows + Shape::kRows * static_cast<int>(sizeof(QueryRow)),
                       kSharedBytes = kTiles + TileStream<Shape>::kSharedBytes;
  static_assert(kSharedBytes <= kMaxSharedBytes);
};

struct RowRange {
  Sequence seq;
  int begin, end;  // rows of the sequence
};

__device__ RowRange rows_of_block(const FixedAttention& f, int block) {
  const Sequence seq = sequence_at(f.a, f.first_seq + (f.is_one_sequence ? 0 : block));
  const int num_rows = seq.num_queries * f.a.group;
  if (!f.is_one_sequence) return {seq, 0, num_rows <= f.rows_per_block ? num_rows : 0};
  const int begin = (f.first_block + block) * kFixedRows;
  return {seq, begin, min(begin + kFixedRows, num_rows)};
}

__device__ int position_of(const FixedAttention& f, const Sequence& seq, int row) {
  return seq.first_position() + row / f.a.group;
}

// Index of a row's part among all.
__device__ std::int64_t part_of(const FixedAttention& f, int block, int kv_head, int split, int row) {
  const std::int64_t part =
      (static_cast<std::int64_t>(block) * f.a.cache.num_kv_heads + kv_head) * f.num_splits + split;
  return part * f.rows_per_block + row;
}

// Grid: blocks of rows, kv heads, splits.
template <class Shape>
__global__ void __launch_bounds__(Shape::kThreads) attend_split(const __grid_constant__ FixedAttention f) {
  enter_chain();
  using Memory = FixedMemory<Shape>;
  extern __shared__ __align__(128) char shared[];
  const int block = static_cast<int>(blockIdx.x), kv_head = static_cast<int>(blockIdx.y),
            split = static_cast<int>(blockIdx.z);
  const RowRange rows = rows_of_block(f, block);
  if (rows.begin >= rows.end) return;
  const Sequence& seq = rows.seq;
  const int first_seen =
      first_visible(f.a, position_of(f, seq, rows.begin)) / Shape::kTileLen * Shape::kTileLen;
  const int first_token = max(split * kFixedSplitLen, first_seen),
            end_token = min((split + 1) * kFixedSplitLen, position_of(f, seq, rows.end - 1) + 1);
  if (first_token >= end_token) return;

  auto* const query_rows = reinterpret_cast<QueryRow*>(shared + Memory::kQueryRows);
  TileStream<Shape> tiles(shared + Memory::kTiles);
  tiles.start(f.a, seq, kv_head, first_token);
  stage_queries<Shape, 8>(f.a, seq, kv_head, rows.begin, rows.end, shared, query_rows);

  PrefillWarp<Shape> warp(f.a, seq, rows.begin, rows.end, shared, query_rows);
  for (int token = first_token; token < end_token; token += Shape::kTileLen) {
    const Tile tile = tiles.take([&] {
      if (token + Shape::kTileLen < end_token) tiles.start(f.a, seq, kv_head, token + Shape::kTileLen);
    });
    warp.add_tile(tile.keys, tile.values, tile.parameters, token);
  }
  const std::int64_t first_part = part_of(f, block, kv_head, split, 0);
  const int num_rows = rows.end - rows.begin;
  warp.finish([&](int row, int c, float x, float y) {
    if (row < num_rows)
      *reinterpret_cast<float2*>(f.values + (first_part + row) * Shape::kHeadDim + c) = {x, y};
  });
  warp.finish_weights([&](int row, float max, float weight) {
    if (row < num_rows) f.weights[first_part + row] = {max, weight};
  });
}

// A row of a kv head to a block, a column to a thread. Grid: rows of blocks, kv heads.
template <int kHeadDim>
__global__ void __launch_bounds__(kHeadDim) add_splits(const __grid_constant__ FixedAttention f) {
  enter_chain();
  const int block = static_cast<int>(blockIdx.x) / f.rows_per_block,
            row = static_cast<int>(blockIdx.x) % f.rows_per_block, kv_head = static_cast<int>(blockIdx.y),
            c = static_cast<int>(threadIdx.x);
  const RowRange rows = rows_of_block(f, block);
  if (rows.begin + row >= rows.end) return;
  const int position = position_of(f, rows.seq, rows.begin + row);
  const int first = first_visible(f.a, position) / kFixedSplitLen,
            end = position < 0 ? first : position / kFixedSplitLen + 1;  // below 0: a row without a context
  const std::int64_t first_part = part_of(f, block, kv_head, 0, row);
  float max = -INFINITY;
  for (int i = first; i < end; i++)
    max = fmaxf(max, f.weights[first_part + static_cast<std::int64_t>(i) * f.rows_per_block].x);
  const float base = max == -INFINITY ? 0.0F : max;
  float sum = 0, weight = 0;
  for (int i = first; i < end; i++) {
    const std::int64_t part = first_part + static_cast<std::int64_t>(i) * f.rows_per_block;
    const float2 part_weight = f.weights[part];
    const float share = part_weight.y * fast_exp2(part_weight.x - base);
    weight += share;
    sum = fmaf(f.values[part * kHeadDim + c], share, sum);
  }
  store_result(f.a.y, f.a.y_type, row_offset(f.a, rows.seq, kv_head, rows.begin + row, f.a.y_stride) + c,
               sum * inverse_weight(weight));
}

}  // namespace

cudaError_t launch_fixed_attention(const FixedAttention& f, cudaStream_t stream) {
  cudaError_t status = cudaErrorInvalidValue;
  with_traits(f.a.cache, [&]<class Kv>(Kv) {
    using Shape = FixedShape<Kv>;
    constexpr int kSharedBytes = FixedMemory<Shape>::kSharedBytes;
    const auto num_blocks = static_cast<unsigned>(f.num_blocks),
               num_kv_heads = static_cast<unsigned>(f.a.cache.num_kv_heads);
    status = launch_chained(attend_split<Shape>,
                            dim3(num_blocks, num_kv_heads, static_cast<unsigned>(f.num_splits)),
                            Shape::kThreads, kSharedBytes, stream, f);
    if (status != cudaSuccess) return;
    status = launch_chained(add_splits<Kv::kHeadDim>,
                            dim3(num_blocks * static_cast<unsigned>(f.rows_per_block), num_kv_heads),
                            Kv::kHeadDim, 0, stream, f);
  });
  return status;
}

}  // namespace lmdeploy::ops::cuda
