#include <algorithm>
#include <limits>
#include <vector>

#include "ops/cpu/cpu_ops.h"
#include "ops/cpu/kernels.h"
#include "ops/cpu/parallel.h"

namespace lmdeploy::ops::cpu {
namespace {

// Rows (queries x heads of a group) that share one pass over the keys: enough to make reading them cheap, few
// enough that scores, weights and sums stay in the caches.
constexpr std::int64_t kMaxTileRows = 48;

// Queries of one sequence and one kv head.
struct Tile {
  std::int64_t seq_idx;
  std::int64_t kv_head;
  std::int64_t first_row;  // of q
  std::int64_t num_queries;
  std::int64_t first_position;  // of the first query
  std::int64_t first_split;     // the splits that any of the queries sees
  std::int64_t end_split;
};

class Attention {
 public:
  Attention(Ctx& ctx, const View& q, const KvLayer& cache, const AttentionBatch& batch, const View& y)
      : ctx_(ctx),
        kernels_(kernels(ctx.cpu_isa)),
        q_(q),
        cache_(cache),
        batch_(batch),
        y_(y),
        d_(q.dim(2)),
        group_(q.dim(1) / cache.layout.num_kv_heads),
        acc_stride_((d_ + kColumnUnit - 1) / kColumnUnit * kColumnUnit),
        q_type_(cache.layout.dtype == DType::bf16 && kernels_.bf16_dot ? DType::bf16 : DType::f32) {}

  void run() {
    make_tiles();
    const std::int64_t max_rows = std::max(group_, kMaxTileRows / group_ * group_);
    scratch_ = ctx_.workspace->take(DType::u8, {ctx_.pool->num_threads(), scratch_bytes(max_rows)});
    const auto num_tiles = static_cast<std::int64_t>(tiles_.size());
    if (num_tiles < 4 * ctx_.pool->num_threads() && num_parts_ > num_tiles)
      run_split();
    else
      run_whole();
  }

 private:
  void make_tiles() {
    const std::int64_t max_queries = std::max<std::int64_t>(1, kMaxTileRows / group_);
    for (std::size_t s = 0; s < batch_.context_lens.size(); s++) {
      const std::int64_t begin = batch_.query_starts[s], end = batch_.query_starts[s + 1];
      const std::int64_t position = batch_.context_lens[s] - (end - begin);
      // Last queries first: they see the most, and the longest tasks should not come last.
      for (std::int64_t i = (end - begin - 1) / max_queries * max_queries; i >= 0; i -= max_queries)
        for (std::int64_t head = 0; head < cache_.layout.num_kv_heads; head++)
          add_tile({static_cast<std::int64_t>(s), head, begin + i, std::min(max_queries, end - begin - i),
                    position + i, 0, 0});
    }
  }

  void add_tile(Tile tile) {
    const std::int64_t window = batch_.sliding_window;
    const std::int64_t first_token =
        window > 0 ? std::max<std::int64_t>(0, tile.first_position + 1 - window) : 0;
    tile.first_split = first_token / kSplitLen;
    tile.end_split = (tile.first_position + tile.num_queries - 1) / kSplitLen + 1;
    num_parts_ += tile.end_split - tile.first_split;
    tiles_.push_back(tile);
  }

  std::int64_t num_rows(const Tile& tile) const { return tile.num_queries * group_; }

  static constexpr std::int64_t kTypeBytes = 4;  // no operand is wider
  std::int64_t state_bytes(std::int64_t rows) const {
    return (rows * (acc_stride_ + 2) * kTypeBytes + 63) / 64 * 64;
  }
  std::int64_t scratch_bytes(std::int64_t rows) const {
    return 2 * state_bytes(rows) + (rows * d_ * kTypeBytes + 63) / 64 * 64 +
           2 * rows * kTokenBlock * kTypeBytes + kTokenBlock * kBlockColumns * kTypeBytes;
  }

  SoftmaxState empty_state(char* memory, std::int64_t rows) const {
    SoftmaxState state;
    state.acc = reinterpret_cast<float*>(memory);
    state.max = state.acc + rows * acc_stride_;
    state.sum = state.max + rows;
    std::fill(state.acc, state.max, 0.0F);
    std::fill(state.max, state.sum, -std::numeric_limits<float>::infinity());
    std::fill(state.sum, state.sum + rows, 0.0F);
    return state;
  }

  // Gathers the tile's queries, in the type of the kernel. memory: what scratch_bytes counts beyond the
  // states.
  AttentionTile prepare(const Tile& tile, char* memory) const {
    const KvLayout& layout = cache_.layout;
    const auto bytes = static_cast<std::int64_t>(dtype_bytes(layout.dtype));
    AttentionTile t;
    t.num_rows = num_rows(tile);
    t.group = group_;
    t.first_position = tile.first_position;
    t.window = batch_.sliding_window;
    t.scale = batch_.scale;
    t.head_dim = d_;
    t.acc_stride = acc_stride_;
    t.cache = static_cast<const char*>(cache_.data) + tile.kv_head * 2 * d_ * kTokenBlock * bytes;
    t.block_bytes = layout.block_bytes();
    t.block_len = layout.block_len;
    t.token_block_bytes = layout.num_kv_heads * 2 * d_ * kTokenBlock * bytes;
    t.block_table = batch_.block_tables.data() + tile.seq_idx * batch_.max_blocks;
    t.q = memory;
    t.scores = reinterpret_cast<float*>(memory + (t.num_rows * d_ * kTypeBytes + 63) / 64 * 64);
    t.weights = t.scores + t.num_rows * kTokenBlock;
    t.v_padded = static_cast<float*>(t.weights) + t.num_rows * kTokenBlock;
    const auto cast = kernels_.cast[dtype_idx(DType::f32)][dtype_idx(q_type_)];
    const std::int64_t query_bytes = group_ * d_ * static_cast<std::int64_t>(dtype_bytes(q_type_));
    for (std::int64_t i = 0; i < tile.num_queries; i++)
      cast(q_.row<float>(tile.first_row + i) + tile.kv_head * group_ * d_, memory + i * query_bytes,
           group_ * d_);
    return t;
  }

  void add_split(const Tile& tile, const AttentionTile& t, std::int64_t split,
                 const SoftmaxState& state) const {
    const std::int64_t last = tile.first_position + tile.num_queries - 1;
    const std::int64_t first_token =
        t.window > 0 ? std::max<std::int64_t>(0, tile.first_position + 1 - t.window) : 0;
    const std::int64_t begin = std::max(split * kSplitLen, first_token / kTokenBlock * kTokenBlock);
    const std::int64_t end = std::min((split + 1) * kSplitLen, last + 1);
    kernels_.attention[dtype_idx(cache_.layout.dtype)](t, begin, end, state);
  }

  void finish(const Tile& tile, const SoftmaxState& state) const {
    const auto write = kernels_.finish_attention[dtype_idx(y_.dtype)];
    for (std::int64_t row = 0; row < num_rows(tile); row++)
      write(state.acc + row * acc_stride_, state.sum[row], d_,
            element(y_, tile.first_row + row / group_, (tile.kv_head * group_ + row % group_) * d_));
  }

  // A task is a tile with all that it sees.
  void run_whole() {
    const auto task = [&](std::int64_t i, int thread_idx) {
      const Tile& tile = tiles_[static_cast<std::size_t>(i)];
      char* memory = element(scratch_, thread_idx);
      const std::int64_t rows = num_rows(tile);
      const AttentionTile t = prepare(tile, memory + 2 * state_bytes(rows));
      const SoftmaxState total = empty_state(memory, rows);
      for (std::int64_t split = tile.first_split; split < tile.end_split; split++) {
        const SoftmaxState part = empty_state(memory + state_bytes(rows), rows);
        add_split(tile, t, split, part);
        kernels_.merge_attention(total, part, rows, acc_stride_);
      }
      finish(tile, total);
    };
    ctx_.pool->parallel_for(static_cast<std::int64_t>(tiles_.size()), std::cref(task));
  }

  // A task is one split of a tile: few queries with a long context keep all threads busy. The parts are
  // merged afterwards, in the order and with the arithmetic of run_whole.
  void run_split() {
    struct Part {
      const Tile* tile;
      std::int64_t split;
      char* state_memory;
    };
    std::vector<Part> parts;
    parts.reserve(static_cast<std::size_t>(num_parts_));
    for (const Tile& tile : tiles_) {
      const std::int64_t num_splits = tile.end_split - tile.first_split;
      const View memory = ctx_.workspace->take(DType::u8, {num_splits, state_bytes(num_rows(tile))});
      for (std::int64_t i = 0; i < num_splits; i++)
        parts.push_back({&tile, tile.first_split + i, element(memory, i)});
    }
    const auto task = [&](std::int64_t i, int thread_idx) {
      const Part& part = parts[static_cast<std::size_t>(i)];
      const AttentionTile t = prepare(*part.tile, element(scratch_, thread_idx));
      add_split(*part.tile, t, part.split, empty_state(part.state_memory, num_rows(*part.tile)));
    };
    ctx_.pool->parallel_for(num_parts_, std::cref(task));
    auto part = parts.begin();
    for (const Tile& tile : tiles_) {
      const std::int64_t rows = num_rows(tile);
      const SoftmaxState total = empty_state(static_cast<char*>(scratch_.data), rows);
      for (; part != parts.end() && part->tile == &tile; ++part) {
        SoftmaxState state;
        state.acc = reinterpret_cast<float*>(part->state_memory);
        state.max = state.acc + rows * acc_stride_;
        state.sum = state.max + rows;
        kernels_.merge_attention(total, state, rows, acc_stride_);
      }
      finish(tile, total);
    }
  }

  Ctx& ctx_;
  const Kernels& kernels_;
  const View& q_;
  const KvLayer& cache_;
  const AttentionBatch& batch_;
  const View& y_;
  std::int64_t d_;
  std::int64_t group_;       // query heads per kv head
  std::int64_t acc_stride_;  // floats
  DType q_type_;
  std::vector<Tile> tiles_;
  std::int64_t num_parts_ = 0;  // (tile, split) pairs
  View scratch_;                // [num_threads, bytes] u8
};

}  // namespace

void attention(Ctx& ctx, const View& q, const KvLayer& cache, const AttentionBatch& batch, const View& y) {
  const Workspace::Scope scope(*ctx.workspace);
  Attention(ctx, q, cache, batch, y).run();
}

}  // namespace lmdeploy::ops::cpu
