#include "ops/cuda/attention_launch.cuh"
#include "ops/cuda/attention_tiles.cuh"

namespace lmdeploy::ops::cuda {
namespace {

constexpr int kQueriesAtOnce = 8;

template <class Shape>
struct PrefillMemory {
  using Tiles = TileStream<Shape>;
  static constexpr int kQueries = 0, kQueryRows = kQueries + Shape::kQueryBytes,
                       kTiles = kQueryRows + Shape::kRows * static_cast<int>(sizeof(QueryRow)),
                       kSharedBytes = kTiles + Tiles::kSharedBytes;
  static_assert(kSharedBytes <= kMaxSharedBytes);
};

// Rows of a sequence that a CTA computes.
struct RowBlock {
  int seq_idx;  // -1: none
  int first_row;
};

// Blocks are counted through all sequences with too many rows for the decode kernel. By a whole warp.
template <class Shape>
__device__ RowBlock find_rows(const AttentionArguments& a, int block_idx) {
  for (int base = 0; base < a.num_seqs; base += kWarpLen) {
    const int s = base + lane_idx();
    const int num_rows = s < a.num_seqs ? (a.query_starts[s + 1] - a.query_starts[s]) * a.group : 0;
    const int num_blocks = num_rows > a.max_decode_rows ? (num_rows + Shape::kRows - 1) / Shape::kRows : 0;
    int end = num_blocks;
    for (int distance = 1; distance < kWarpLen; distance *= 2) {
      const int before = __shfl_up_sync(kWholeWarp, end, distance);
      if (lane_idx() >= distance) end += before;
    }
    const unsigned reaching = __ballot_sync(kWholeWarp, end > block_idx);
    if (reaching != 0) {
      const int lane = __ffs(static_cast<int>(reaching)) - 1;
      return {base + lane, (block_idx - __shfl_sync(kWholeWarp, end - num_blocks, lane)) * Shape::kRows};
    }
    block_idx -= __shfl_sync(kWholeWarp, end, kWarpLen - 1);
  }
  return {-1, 0};
}

template <class Shape>
struct QueryPlaces {
  char* queries;
  QueryRow* rows;
  int first_row;

  __device__ void operator()(int row, int c, typename Shape::Kv::Query element) const {
    char* piece = queries + SwizzledTile<Shape::kChunks>::idx(row - first_row, c / 8) * 16;
    reinterpret_cast<typename Shape::Kv::Query*>(piece)[c % 8] = element;
  }
  __device__ void operator()(int row, const QueryRow& query_row) const { rows[row - first_row] = query_row; }
};

// Grid: blocks of rows, the last first, as they see the most; kv heads.
template <class Shape>
__global__ void __launch_bounds__(Shape::kThreads) attend_rows(const __grid_constant__ AttentionArguments a) {
  enter_chain();
  using Kv = typename Shape::Kv;
  using Memory = PrefillMemory<Shape>;
  extern __shared__ __align__(128) char shared[];
  const RowBlock block = find_rows<Shape>(a, static_cast<int>(gridDim.x - 1 - blockIdx.x));
  if (block.seq_idx < 0) return;
  const Sequence seq = sequence_at(a, block.seq_idx);
  const int kv_head = static_cast<int>(blockIdx.y), num_rows = seq.num_queries * a.group,
            end_row = min(block.first_row + Shape::kRows, num_rows);
  const int end_token = seq.first_position() + (end_row - 1) / a.group + 1,
            first_token = first_visible(a, seq.first_position() + block.first_row / a.group) /
                          Shape::kTileLen * Shape::kTileLen;

  char* const queries = shared + Memory::kQueries;
  auto* const query_rows = reinterpret_cast<QueryRow*>(shared + Memory::kQueryRows);
  TileStream<Shape> tiles(shared + Memory::kTiles);
  if (first_token < end_token) tiles.start(a, seq, kv_head, first_token);
  for (int row = static_cast<int>(threadIdx.x) / kWarpLen; row < Shape::kRows;
       row += Shape::kWarps * kQueriesAtOnce)
    prepare_queries<Kv, kQueriesAtOnce>(a, seq, kv_head, block.first_row + row, Shape::kWarps, num_rows,
                                        QueryPlaces<Shape>{queries, query_rows, block.first_row});

  PrefillWarp<Shape> warp(a, seq, block.first_row, num_rows, queries, query_rows);
  for (int token = first_token; token < end_token; token += Shape::kTileLen) {
    const Tile tile = tiles.take([&] {
      if (token + Shape::kTileLen < end_token) tiles.start(a, seq, kv_head, token + Shape::kTileLen);
    });
    warp.add_tile(tile.keys, tile.values, tile.parameters, token);
  }
  warp.finish([&](int row, int c, float x, float y) {
    if (block.first_row + row >= num_rows) return;
    store_pair(a, row_offset(a, seq, kv_head, block.first_row + row, a.y_stride) + c, x, y);
  });
}

}  // namespace

cudaError_t launch_prefill_attention(const AttentionArguments& a, cudaStream_t stream) {
  cudaError_t status = cudaErrorInvalidValue;
  with_traits(a.cache, [&]<class Kv>(Kv) {
    using Shape = PrefillShape<Kv>;
    // At most one block of each sequence is not full, and a sequence has rows enough for this kernel.
    const std::int64_t num_rows = a.num_rows * a.group, max_seqs = num_rows / (a.max_decode_rows + 1),
                       num_blocks = num_rows / Shape::kRows + (max_seqs < a.num_seqs ? max_seqs : a.num_seqs);
    if (num_blocks == 0) {
      status = cudaSuccess;
      return;
    }
    const dim3 grid(static_cast<unsigned>(num_blocks), static_cast<unsigned>(a.cache.num_kv_heads));
    status = launch_attention(attend_rows<Shape>, grid, Shape::kThreads, PrefillMemory<Shape>::kSharedBytes,
                              a, stream);
  });
  return status;
}

}  // namespace lmdeploy::ops::cuda
