#include <algorithm>
#include <limits>
#include <vector>

#include "ops/cpu/attention_tiles.h"
#include "ops/cpu/cpu_ops.h"
#include "ops/cpu/kernels.h"
#include "ops/cpu/parallel.h"
#include "ops/key_signs.h"

namespace lmdeploy::ops::cpu {
namespace {

// Scratch memory of one thread.
struct Scratch {
  char* queries;  // [kv heads, rows, head_dim] of the left operand's type
  float* scores;
  float* weights;
  char* unpacked;
  char* states[2];
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
        num_kv_heads_(cache.layout.num_kv_heads),
        group_(q.dim(1) / num_kv_heads_),
        acc_stride_(divide_up(d_, kColumnUnit) * kColumnUnit),
        q_type_(cache.layout.dtype == DType::bf16 && kernels_.bf16_dot ? DType::bf16 : DType::f32) {}

  void run() {
    tiles_ = plan_tiles(batch_, num_kv_heads_, group_, ctx_.pool->num_threads());
    std::int64_t num_parts = 0, max_rows = 0;
    for (const Tile& tile : tiles_) {
      num_parts += tile.num_splits();
      max_rows = std::max(max_rows, num_rows(tile));
    }
    scratch_rows_ = max_rows;
    scratch_ = ctx_.workspace->take(DType::u8, {ctx_.pool->num_threads(), scratch_bytes(max_rows)});
    const auto num_tiles = static_cast<std::int64_t>(tiles_.size());
    if (num_tiles < 4 * ctx_.pool->num_threads() && num_parts > num_tiles)
      run_split(num_parts);
    else
      run_whole();
  }

 private:
  std::int64_t rows_per_head(const Tile& tile) const { return tile.num_queries * group_; }
  std::int64_t num_rows(const Tile& tile) const { return tile.num_kv_heads * rows_per_head(tile); }

  static constexpr std::int64_t kTypeBytes = 4;  // no operand is wider
  std::int64_t state_bytes(std::int64_t rows) const {
    return divide_up(rows * (acc_stride_ + 2) * kTypeBytes, 64) * 64;
  }
  std::int64_t scratch_bytes(std::int64_t rows) const {
    return 2 * state_bytes(rows) + rows * divide_up(d_, 16) * 64 + 2 * rows * kTokenBlock * kTypeBytes +
           unpacked_bytes();
  }
  std::int64_t unpacked_bytes() const {
    const std::int64_t num_dimensions = cache_.layout.quant_bits == 0 ? 0 : divide_up(d_, 4) * 4;
    return std::max(num_dimensions, kBlockColumns) * kTokenBlock * kTypeBytes;
  }
  Scratch scratch(int thread_idx) const {
    char* at = element(scratch_, thread_idx);
    const auto take = [&](std::int64_t bytes) {
      char* taken = at;
      at += bytes;
      return taken;
    };
    Scratch s{};
    for (char*& state : s.states) state = take(state_bytes(scratch_rows_));
    s.scores = reinterpret_cast<float*>(take(scratch_rows_ * kTokenBlock * kTypeBytes));
    s.weights = reinterpret_cast<float*>(take(scratch_rows_ * kTokenBlock * kTypeBytes));
    s.unpacked = take(unpacked_bytes());
    s.queries = at;
    return s;
  }

  SoftmaxState state_at(char* memory, std::int64_t rows) const {
    SoftmaxState state;
    state.acc = reinterpret_cast<float*>(memory);
    state.max = state.acc + rows * acc_stride_;
    state.sum = state.max + rows;
    return state;
  }
  SoftmaxState empty_state(char* memory, std::int64_t rows) const {
    const SoftmaxState state = state_at(memory, rows);
    std::fill(state.acc, state.max, 0.0F);
    std::fill(state.max, state.sum, -std::numeric_limits<float>::infinity());
    std::fill(state.sum, state.sum + rows, 0.0F);
    return state;
  }

  // Gathers the tile's queries, head by head, in the type of the kernel.
  void gather_queries(const Tile& tile, char* to) const {
    const std::int64_t bytes = group_ * d_ * static_cast<std::int64_t>(dtype_bytes(q_type_));
    for (std::int64_t head = tile.first_kv_head; head < tile.first_kv_head + tile.num_kv_heads; head++)
      for (std::int64_t i = 0; i < tile.num_queries; i++, to += bytes)
        gather_group(q_.row<float>(tile.first_row + i) + head * group_ * d_, to);
  }

  // Int4 keys are rotated, so their queries must be.
  void gather_group(const float* from, char* to) const {
    const auto cast = kernels_.cast[dtype_idx(DType::f32)][dtype_idx(q_type_)];
    if (cache_.layout.quant_bits != 4) return cast(from, to, group_ * d_);
    float rotated[kMaxHeadDim];
    const std::int64_t bytes = d_ * static_cast<std::int64_t>(dtype_bytes(q_type_));
    for (std::int64_t i = 0; i < group_; i++, from += d_, to += bytes) {
      std::copy(from, from + d_, rotated);
      kernels_.rotate_head(rotated, d_);
      cast(rotated, to, d_);
    }
  }

  AttentionTile kernel_tile(const Tile& tile, const Scratch& scratch) const {
    const KvLayout& layout = cache_.layout;
    AttentionTile t;
    t.num_rows = rows_per_head(tile);
    t.group = group_;
    t.first_position = tile.first_position;
    t.window = batch_.sliding_window;
    t.scale = batch_.scale;
    t.head_dim = d_;
    t.acc_stride = acc_stride_;
    t.block_stride = cache_.block_stride;
    t.block_len = layout.block_len;
    t.token_block_bytes = num_kv_heads_ * head_bytes();
    t.block_table = batch_.block_tables.host.data() + tile.seq_idx * batch_.max_blocks;
    t.scores = scratch.scores;
    t.weights = scratch.weights;
    t.unpacked = scratch.unpacked;
    return t;
  }

  std::int64_t head_bytes() const { return 2 * cache_.layout.head_bytes(); }  // K and V of a token block

  // The tile's queries, gathered in `scratch`, against the tokens of one split.
  void add_split(const Tile& tile, std::int64_t split, const Scratch& scratch,
                 const SoftmaxState& state) const {
    const KvLayout& layout = cache_.layout;
    const auto attend = kernels_.attention[quant_idx(layout.quant_bits)][dtype_idx(layout.dtype)];
    const std::int64_t rows = rows_per_head(tile);
    const std::int64_t query_bytes = rows * d_ * static_cast<std::int64_t>(dtype_bytes(q_type_));
    AttentionTile t = kernel_tile(tile, scratch);
    const std::int64_t end = std::min((split + 1) * kSplitLen, tile.end_token());
    for (std::int64_t token = std::max(split * kSplitLen, tile.first_token); token < end;
         token += kTokenBlock)
      for (std::int64_t i = 0; i < tile.num_kv_heads; i++) {
        t.q = scratch.queries + i * query_bytes;
        t.cache = static_cast<const char*>(cache_.data) + (tile.first_kv_head + i) * head_bytes();
        attend(t, token, {state.max + i * rows, state.sum + i * rows, state.acc + i * rows * acc_stride_});
      }
  }

  void finish(const Tile& tile, const SoftmaxState& state) const {
    const auto write = kernels_.finish_attention[dtype_idx(y_.dtype)];
    std::int64_t row = 0;
    for (std::int64_t head = tile.first_kv_head; head < tile.first_kv_head + tile.num_kv_heads; head++)
      for (std::int64_t i = 0; i < tile.num_queries; i++)
        for (std::int64_t j = 0; j < group_; j++, row++)
          write(state.acc + row * acc_stride_, state.sum[row], d_,
                element(y_, tile.first_row + i, (head * group_ + j) * d_));
  }

  // A task is a tile with all that it sees.
  void run_whole() {
    const auto task = [&](std::int64_t i, int thread_idx) {
      const Tile& tile = tiles_[static_cast<std::size_t>(i)];
      const Scratch s = scratch(thread_idx);
      gather_queries(tile, s.queries);
      const SoftmaxState total = empty_state(s.states[0], num_rows(tile));
      for (std::int64_t split = tile.first_split; split < tile.end_split; split++) {
        const SoftmaxState part = empty_state(s.states[1], num_rows(tile));
        add_split(tile, split, s, part);
        kernels_.merge_attention(total, part, num_rows(tile), acc_stride_);
      }
      finish(tile, total);
    };
    ctx_.pool->parallel_for(static_cast<std::int64_t>(tiles_.size()), std::cref(task));
  }

  // A task is one split of a tile: few queries with a long context keep all threads busy. The parts are
  // merged afterwards, in the order and with the arithmetic of run_whole.
  void run_split(std::int64_t num_parts) {
    struct Part {
      const Tile* tile;
      std::int64_t split;
      char* state;
    };
    std::vector<Part> parts;
    parts.reserve(static_cast<std::size_t>(num_parts));
    for (const Tile& tile : tiles_) {
      const View states = ctx_.workspace->take(DType::u8, {tile.num_splits(), state_bytes(num_rows(tile))});
      for (std::int64_t i = 0; i < tile.num_splits(); i++)
        parts.push_back({&tile, tile.first_split + i, element(states, i)});
    }
    const auto task = [&](std::int64_t i, int thread_idx) {
      const Part& part = parts[static_cast<std::size_t>(i)];
      const Scratch s = scratch(thread_idx);
      gather_queries(*part.tile, s.queries);
      add_split(*part.tile, part.split, s, empty_state(part.state, num_rows(*part.tile)));
    };
    ctx_.pool->parallel_for(num_parts, std::cref(task));
    auto part = parts.begin();
    for (const Tile& tile : tiles_) {
      const SoftmaxState total = empty_state(scratch(0).states[0], num_rows(tile));
      for (; part != parts.end() && part->tile == &tile; ++part)
        kernels_.merge_attention(total, state_at(part->state, num_rows(tile)), num_rows(tile), acc_stride_);
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
  std::int64_t num_kv_heads_;
  std::int64_t group_;       // query heads per kv head
  std::int64_t acc_stride_;  // floats
  DType q_type_;
  std::vector<Tile> tiles_;
  std::int64_t scratch_rows_ = 0;  // of the largest tile
  View scratch_;                   // [num_threads, bytes] u8
};

}  // namespace

void attention(Ctx& ctx, const View& q, const KvLayer& cache, const AttentionBatch& batch, const View& y) {
  const Workspace::Scope scope(*ctx.workspace);
  Attention(ctx, q, cache, batch, y).run();
}

}  // namespace lmdeploy::ops::cpu
