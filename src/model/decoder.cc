#include "model/decoder.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/error.h"
#include "model/batch_slice.h"

namespace lmdeploy {
namespace {

// Enough rows to make a matrix product compute-bound, few enough for the caches and the scratch.
constexpr std::int64_t kMaxChunk = 512;
constexpr std::int64_t kMinChunk = 64;
constexpr std::int64_t kMaxScratchBytes = std::int64_t{128} << 20;

}  // namespace

// One forward pass: the scratch of a chunk of tokens, and the steps that turn them into logits. Scratch is
// always taken for max_chunk rows, whatever a chunk has: the workspace then keeps one size, and rows that are
// never used never become resident.
class Decoder::Pass {
 public:
  Pass(Ctx& ctx, const Decoder& model, KvPool& pool, const LinearObserver* observe = nullptr)
      : ctx_(ctx), model_(model), pool_(pool), observe_(observe), scope_(*ctx.workspace) {
    const DType dtype = model.info_.kv_layout.dtype;
    const std::int64_t query_width = model.num_heads_ * model.head_dim_;
    const std::int64_t qkv_width = query_width + 2 * model.num_kv_heads_ * model.head_dim_;
    residual_ = take(DType::f32, model.hidden_size_);
    normed_ = take(dtype, model.hidden_size_);
    rope_table_ = take(DType::f32, model.head_dim_);
    qkv_ = take(DType::f32, qkv_width);
    attended_ = take(dtype, query_width);
    gate_up_ = take(DType::f32, 2 * model.intermediate_size_);
    activated_ = take(dtype, model.intermediate_size_);
    last_residual_ = take(DType::f32, model.hidden_size_);
    last_query_ = take(DType::f32, query_width);
  }

  // logits: [slice.logits_rows.size(), vocab_size] f32.
  void run(const BatchSlice& slice, const View& logits) {
    const DecoderWeights& weights = model_.weights_;
    begin(slice);
    embed(slice);
    const std::size_t last = weights.layers.size() - 1;
    for (std::size_t i = 0; i < last; i++) {
      const View query = store_keys(i, slice);
      finish_layer(weights.layers[i], query, i, slice.rows);
    }
    View query = store_keys(last, slice);
    if (slice.logits_rows.empty()) return;
    if (std::ssize(slice.logits_rows) < num_rows_) {
      query = keep_logits_rows(slice, query);
      finish_layer(weights.layers[last], query, last, logits_queries(slice));
    } else {
      finish_layer(weights.layers[last], query, last, slice.rows);
    }
    weights.final_norm.apply(ctx_, rows(residual_), rows(normed_));
    weights.head.apply(ctx_, rows(normed_), logits);
  }

  // residual: [slice.num_tokens(), hidden_size] f32, taken through one layer.
  void run_layer(std::size_t layer_idx, const BatchSlice& slice, const View& residual) {
    begin(slice);
    residual_ = residual;
    const View query = store_keys(layer_idx, slice);
    if (!query.empty()) finish_layer(model_.weights_.layers[layer_idx], query, layer_idx, slice.rows);
  }

 private:
  View take(DType dtype, std::int64_t width) {
    return ctx_.workspace->take(dtype, Shape{model_.max_chunk_, width});
  }
  View rows(const View& buffer) const { return buffer.rows(0, num_rows_); }

  // Whether what follows is wanted.
  bool see(LinearInput input, const View& x) const {
    return observe_ == nullptr || !*observe_ || (*observe_)(input, x);
  }

  void begin(const BatchSlice& slice) {
    num_rows_ = slice.num_tokens();
    ops::rope_table(ctx_, slice.positions, model_.rope_.inv_freq, model_.rope_.scale, rows(rope_table_));
  }

  void embed(const BatchSlice& slice) {
    const DecoderWeights& weights = model_.weights_;
    if (weights.embedding.empty())
      ops::embed(ctx_, slice.token_ids, weights.head.parts.front().weight, rows(residual_));
    else
      ops::embed(ctx_, slice.token_ids, weights.embedding, rows(residual_));
  }

  // The first half of a layer, which every token needs. Returns the queries, [m, num_heads, head_dim];
  // empty: the observer wants no more.
  View store_keys(std::size_t layer_idx, const BatchSlice& slice) {
    const DecoderLayer& layer = model_.weights_.layers[layer_idx];
    layer.input_norm.apply(ctx_, rows(residual_), rows(normed_));
    if (!see(LinearInput::qkv, rows(normed_))) return {};
    layer.attention.project(ctx_, rows(normed_), rows(rope_table_), rows(qkv_));
    ops::store_kv(ctx_, layer.attention.key(rows(qkv_)), layer.attention.value(rows(qkv_)), slice.slots,
                  pool_.layer(static_cast<int>(layer_idx)));
    return layer.attention.query(rows(qkv_));
  }

  // Behind the last layer's keys only the tokens whose logits are wanted matter: drops the other rows of the
  // residual stream and of the queries.
  View keep_logits_rows(const BatchSlice& slice, const View& query) {
    const std::int64_t width = query.dim(1) * query.dim(2);
    const View query_rows(query.data, DType::f32, Shape{num_rows_, width}, query.row_stride);
    const View residual = rows(residual_);
    num_rows_ = std::ssize(slice.logits_rows);
    ops::embed(ctx_, slice.logits_rows, query_rows, rows(last_query_));
    ops::embed(ctx_, slice.logits_rows, residual, rows(last_residual_));
    std::swap(residual_, last_residual_);
    return {last_query_.data, DType::f32, Shape{num_rows_, query.dim(1), query.dim(2)}};
  }

  void finish_layer(const DecoderLayer& layer, const View& query, std::size_t layer_idx,
                    const AttentionRows& attention_rows) {
    const float scale = 1 / std::sqrt(static_cast<float>(model_.head_dim_));
    ops::attention(ctx_, query, pool_.layer(static_cast<int>(layer_idx)),
                   attention_rows.batch(scale, layer.attention.sliding_window), rows(attended_));
    if (!see(LinearInput::attention_output, rows(attended_))) return;
    layer.attention.output.apply(ctx_, rows(attended_), rows(residual_), true);
    layer.post_attention_norm.apply(ctx_, rows(residual_), rows(normed_));
    if (!see(LinearInput::gate_up, rows(normed_))) return;
    layer.mlp.gate_up.apply(ctx_, rows(normed_), rows(gate_up_));
    ops::silu_mul(ctx_, rows(gate_up_), rows(activated_));
    if (!see(LinearInput::down, rows(activated_))) return;
    layer.mlp.down.apply(ctx_, rows(activated_), rows(residual_), true);
  }

  Ctx& ctx_;
  const Decoder& model_;
  KvPool& pool_;
  const LinearObserver* observe_;  // null: nobody looks on
  Workspace::Scope scope_;
  std::int64_t num_rows_ = 0;  // of every buffer that are in use
  View residual_;              // [max_chunk, hidden_size] f32
  View normed_;                // [max_chunk, hidden_size] of the weight dtype
  View rope_table_;            // [max_chunk, head_dim] f32
  View qkv_;                   // [max_chunk, (num_heads + 2 num_kv_heads) * head_dim] f32
  View attended_;              // [max_chunk, num_heads * head_dim] of the weight dtype
  View gate_up_;               // [max_chunk, 2 intermediate_size] f32
  View activated_;             // [max_chunk, intermediate_size] of the weight dtype
  View last_residual_;         // [max_chunk, hidden_size] f32, behind keep_logits_rows
  View last_query_;            // [max_chunk, num_heads * head_dim] f32
};

Decoder::Decoder(const HfConfig& config, Rope rope, DecoderWeights weights, std::int32_t block_len)
    : hidden_size_(config.hidden_size),
      intermediate_size_(config.intermediate_size),
      num_heads_(config.num_attention_heads),
      num_kv_heads_(config.num_key_value_heads),
      head_dim_(config.head_dim),
      rope_(std::move(rope)),
      weights_(std::move(weights)) {
  CHECK(std::ssize(weights_.layers) == config.num_hidden_layers && !weights_.layers.empty());
  info_.num_layers = static_cast<int>(config.num_hidden_layers);
  info_.vocab_size = static_cast<std::int32_t>(config.vocab_size);
  info_.max_position_embeddings = static_cast<std::int32_t>(config.max_position_embeddings);
  info_.kv_layout = {weights_.layers.front().attention.qkv.dtype(), static_cast<std::int32_t>(num_kv_heads_),
                     static_cast<std::int32_t>(head_dim_), block_len};
  info_.decode_read_bytes = weights_.final_norm.bytes() + weights_.head.bytes();
  for (const DecoderLayer& layer : weights_.layers) info_.decode_read_bytes += layer.bytes();
  info_.weight_bytes =
      info_.decode_read_bytes + (weights_.embedding.empty() ? 0 : weights_.embedding.view().bytes());

  const auto width = static_cast<std::int64_t>(dtype_bytes(info_.kv_layout.dtype));
  const std::int64_t query_width = num_heads_ * head_dim_;
  const std::int64_t floats =
      2 * hidden_size_ + 2 * query_width + 2 * num_kv_heads_ * head_dim_ + head_dim_ + 2 * intermediate_size_;
  const std::int64_t row_bytes = 4 * floats + width * (hidden_size_ + query_width + intermediate_size_);
  max_chunk_ = std::clamp(kMaxScratchBytes / row_bytes / kMinChunk * kMinChunk, kMinChunk, kMaxChunk);
}

void Decoder::quantize_cache(std::int32_t bits, KeyCenters centers) {
  info_.kv_layout.quant_bits = bits;
  info_.key_centers = std::move(centers);
}

void Decoder::forward(Ctx& ctx, const Batch& batch, KvPool& pool, const View& logits) const {
  check_batch(batch);
  const auto num_tokens = std::ssize(batch.token_ids), num_logits = std::ssize(batch.logits_rows);
  CHECK(num_logits == 0 || logits.shape == (Shape{num_logits, info_.vocab_size}), "logits are {}",
        logits.shape.to_string());
  Pass pass(ctx, *this, pool);
  for (std::int64_t begin = 0; begin < num_tokens; begin += max_chunk_) {
    const BatchSlice slice =
        slice_batch(batch, begin, std::min<std::int64_t>(begin + max_chunk_, num_tokens), pool.block_len());
    const auto count = std::ssize(slice.logits_rows);
    pass.run(slice, count == 0 ? View() : logits.rows(slice.first_logit, count));
  }
}

void Decoder::forward_layer(Ctx& ctx, int layer_idx, const Batch& batch, KvPool& pool, const View& residual,
                            const LinearObserver& observe) const {
  check_batch(batch);
  const auto num_tokens = std::ssize(batch.token_ids);
  CHECK(residual.shape == (Shape{num_tokens, hidden_size_}), "residual is {}", residual.shape.to_string());
  Pass pass(ctx, *this, pool, &observe);
  for (std::int64_t begin = 0; begin < num_tokens; begin += max_chunk_) {
    const BatchSlice slice =
        slice_batch(batch, begin, std::min<std::int64_t>(begin + max_chunk_, num_tokens), pool.block_len());
    pass.run_layer(static_cast<std::size_t>(layer_idx), slice, residual.rows(begin, slice.num_tokens()));
  }
}

}  // namespace lmdeploy
