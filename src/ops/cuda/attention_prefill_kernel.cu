#include "ops/cuda/attention_tiles.cuh"
#include "ops/cuda/attention_units.cuh"
#include "ops/cuda/chained_launch.cuh"

namespace lmdeploy::ops::cuda {
namespace {

constexpr int kQueriesAtOnce = 16;

template <class Shape>
struct PrefillMemory {
  using Tiles = TileStream<Shape>;
  static constexpr int kQueries = 0, kQueryRows = kQueries + Shape::kQueryBytes,
                       kTiles = kQueryRows + Shape::kRows * static_cast<int>(sizeof(QueryRow)),
                       kSharedBytes = kTiles + Tiles::kSharedBytes;
  static_assert(kSharedBytes <= kMaxSharedBytes);
};

// Grid: places of units.
template <class Shape>
__global__ void __launch_bounds__(Shape::kThreads) attend_rows(const __grid_constant__ AttentionArguments a) {
  enter_chain();
  using Memory = PrefillMemory<Shape>;
  extern __shared__ __align__(128) char shared[];
  const RowBlocks<Shape::kRows> blocks(a);
  const int unit_idx = unit_at(a, static_cast<int>(blockIdx.x));
  if (unit_idx >= blocks.num_blocks() * a.cache.num_kv_heads) return;
  const Unit unit = unit_of(a, blocks, unit_idx);
  const Sequence& seq = unit.seq;
  const int kv_head = unit.kv_head, num_rows = unit.num_rows, end_token = unit.end_token,
            first_token = unit.first_token / Shape::kTileLen * Shape::kTileLen;

  char* const queries = shared + Memory::kQueries;
  auto* const query_rows = reinterpret_cast<QueryRow*>(shared + Memory::kQueryRows);
  TileStream<Shape> tiles(shared + Memory::kTiles);
  if (first_token < end_token) tiles.start(a, seq, kv_head, first_token);
  stage_queries<Shape, kQueriesAtOnce>(a, seq, kv_head, unit.first_row, num_rows, queries, query_rows);

  PrefillWarp<Shape> warp(a, seq, unit.first_row, num_rows, queries, query_rows);
  for (int token = first_token; token < end_token; token += Shape::kTileLen) {
    const Tile tile = tiles.take([&] {
      if (token + Shape::kTileLen < end_token) tiles.start(a, seq, kv_head, token + Shape::kTileLen);
    });
    warp.add_tile(tile.keys, tile.values, tile.parameters, token);
  }
  with_pair_store(a, [&](const auto& store) {
    warp.finish([&](int row, int c, float x, float y) {
      if (unit.first_row + row >= num_rows) return;
      store(row_offset(a, seq, kv_head, unit.first_row + row, a.y_stride) + c, x, y);
    });
  });
}

}  // namespace

cudaError_t launch_prefill_attention(const AttentionArguments& a, cudaStream_t stream) {
  cudaError_t status = cudaErrorInvalidValue;
  with_traits(a.cache, [&]<class Kv>(Kv) {
    using Shape = PrefillShape<Kv>;
    const std::int64_t num_rounds = divide_up(max_units<Shape::kRows>(a), a.num_multiprocessors);
    if (num_rounds == 0) {
      status = cudaSuccess;
      return;
    }
    const dim3 grid(static_cast<unsigned>(num_rounds * a.num_multiprocessors));
    status = launch_chained(attend_rows<Shape>, grid, Shape::kThreads, PrefillMemory<Shape>::kSharedBytes,
                            stream, a);
  });
  return status;
}

}  // namespace lmdeploy::ops::cuda
