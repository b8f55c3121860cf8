#include "model/decoder.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "base/error.h"
#include "model/batch_slice.h"
#include "tensor/graph_cache.h"

namespace lmdeploy {
namespace {

// Tokens that are computed at once, at most, and what their scratch may take. On the CPU enough rows to make
// a matrix product compute-bound, few enough for the caches; on a card what fills it, and mostly a whole
// step.
struct ChunkLimits {
  std::int64_t max_rows;
  std::int64_t max_bytes;
};
constexpr ChunkLimits chunk_limits(Device device) {
  return device == Device::cpu ? ChunkLimits{512, std::int64_t{128} << 20}
                               : ChunkLimits{8192, std::int64_t{512} << 20};
}
constexpr std::int64_t kMinChunk = 64;

}  // namespace

// One forward pass: the scratch of a chunk of tokens, and the steps that turn them into logits. Scratch is
// always taken for max_chunk rows, whatever a chunk has: the workspace then keeps one size, and rows that are
// never used never become resident.
class Decoder::Pass {
 public:
  enum class Output : std::uint8_t { logits, hidden };

  Pass(Ctx& ctx, const Decoder& model, KvPool& pool, Output output, const LinearObserver* observe = nullptr)
      : ctx_(ctx), model_(model), pool_(pool), output_(output), observe_(observe), scope_(*ctx.workspace) {
    const DType dtype = model.info_.kv_layout.dtype;
    const std::int64_t query_width = model.num_heads_ * model.head_dim_;
    const std::int64_t qkv_width = query_width + 2 * model.num_kv_heads_ * model.head_dim_;
    residual_ = take(DType::f32, model.hidden_size_);
    if (observe != nullptr) normed_ = take(dtype, model.hidden_size_);
    rope_table_ = take(DType::f32, model.head_dim_);
    qkv_ = take(DType::f32, qkv_width);
    attended_ = take(dtype, query_width);
    activated_ = take(dtype, model.intermediate_size_);
    last_residual_ = take(DType::f32, model.hidden_size_);
    last_query_ = take(DType::f32, query_width);
    resolved_ids_ = ctx.workspace->take(DType::i32, Shape{model.max_chunk_});
  }

  std::int64_t output_width() const noexcept {
    return output_ == Output::logits ? model_.info_.vocab_size : model_.hidden_size_;
  }

  // output: [slice.logits_rows.size(), vocab_size or hidden_size] f32.
  void run(const BatchSlice& slice, const View& output) {
    const Workspace::Scope scope(*ctx_.workspace);
    const bool drops_rows = !slice.logits_rows.empty() && std::ssize(slice.logits_rows) < slice.num_tokens();
    const AttentionRows last_rows = drops_rows ? logits_queries(slice) : AttentionRows();
    begin(slice, last_rows);
    is_decode_ = output_ == Output::logits && !drops_rows && !output.empty() &&
                 slice.num_tokens() == std::ssize(slice.rows.context_lens);
    if (ctx_.graphs != nullptr && is_decode_)
      ctx_.graphs->run(graph_key(output), [&] { compute(output, drops_rows); });
    else
      compute(output, drops_rows);
  }

  // residual: [slice.num_tokens(), hidden_size] f32, taken through one layer.
  void run_layer(std::size_t layer_idx, const BatchSlice& slice, const View& residual) {
    const Workspace::Scope scope(*ctx_.workspace);
    begin(slice, {});
    make_rope_table();
    residual_ = residual;
    const View query = project(layer_idx);
    if (!query.empty()) finish_layer(layer_idx, query, attention_);
  }

 private:
  void compute(const View& output, bool drops_rows) {
    const DecoderWeights& weights = model_.weights_;
    make_rope_table();
    embed();
    const std::size_t last = weights.layers.size() - 1;
    for (std::size_t i = 0; i < last; i++) {
      const View query = project(i);
      finish_layer(i, query, attention_);
    }
    View query = project(last);
    if (output.empty()) return;
    if (drops_rows) query = keep_logits_rows(query);
    finish_layer(last, query, drops_rows ? last_attention_ : attention_);
    if (output_ == Output::hidden)
      weights.final_norm.apply(ctx_, rows(residual_), output);
    else
      weights.head.apply(ctx_, weights.final_norm, rows(residual_), output);
  }

  // The same scratch and integers lie at the same places whenever the workspace is used in the same way.
  GraphCache::Key graph_key(const View& logits) const {
    const auto address = [](const void* p) { return reinterpret_cast<std::int64_t>(p); };
    return {num_rows_,
            attention_.max_blocks,
            address(residual_.data),
            address(token_ids_.device),
            address(drawn_.data),
            address(logits.data),
            address(pool_.layer(0).data)};
  }

  View take(DType dtype, std::int64_t width) {
    return ctx_.workspace->take(dtype, Shape{model_.max_chunk_, width});
  }
  View rows(const View& buffer) const { return buffer.rows(0, num_rows_); }

  // Whether what follows is wanted.
  bool see(LinearInput input, const View& x) const {
    return observe_ == nullptr || !*observe_ || (*observe_)(input, x);
  }
  // The residual stream as the linear layers behind a norm read it, for the observer; empty: it wants no
  // more.
  View see_normed(LinearInput input, const RmsNorm& norm) const {
    norm.apply(ctx_, rows(residual_), rows(normed_));
    return see(input, rows(normed_)) ? rows(normed_) : View();
  }

  // The slice's integers go to the device in one transfer, and with them those of last_rows: what the last
  // layer attends to where it has fewer rows.
  void begin(const BatchSlice& slice, const AttentionRows& last_rows) {
    num_rows_ = slice.num_tokens();
    token_ids_ = slice.token_ids;
    drawn_ = slice.drawn;
    positions_ = slice.positions;
    slots_ = slice.slots;
    logits_rows_ = slice.logits_rows;
    const float scale = 1 / std::sqrt(static_cast<float>(model_.head_dim_));
    attention_ = slice.rows.batch(scale);
    last_attention_ = last_rows.batch(scale);
    ops::upload(ctx_,
                std::array{&token_ids_, &positions_, &slots_, &logits_rows_, &attention_.query_starts,
                           &attention_.context_lens, &attention_.block_tables, &last_attention_.query_starts,
                           &last_attention_.context_lens, &last_attention_.block_tables});
  }

  void make_rope_table() {
    ops::rope_table(ctx_, positions_, model_.rope_.inv_freq, model_.rope_.scale, rows(rope_table_));
  }

  void embed() {
    const DecoderWeights& weights = model_.weights_;
    const ops::Indices ids =
        drawn_.empty() ? token_ids_ : ops::resolve_ids(ctx_, token_ids_, drawn_, rows(resolved_ids_));
    if (weights.embedding.empty())
      ops::embed(ctx_, ids, weights.head.parts.front().weight, rows(residual_));
    else
      ops::embed(ctx_, ids, weights.embedding, rows(residual_));
  }

  // The first half of a layer, which every token needs, up to its stored keys; of a decode step up to its
  // projections, as its attention stores them. Returns the queries, [m, num_heads, head_dim]; empty: the
  // observer wants no more.
  View project(std::size_t layer_idx) {
    const DecoderLayer& layer = model_.weights_.layers[layer_idx];
    if (observe_ != nullptr) {
      const View normed = see_normed(LinearInput::qkv, layer.input_norm);
      if (normed.empty()) return {};
      layer.attention.project(ctx_, normed, rows(qkv_));
    } else {
      layer.attention.project(ctx_, layer.input_norm, rows(residual_), rows(qkv_));
    }
    const View query = layer.attention.query(rows(qkv_));
    if (!is_decode_)
      ops::rope_and_store(ctx_, query, layer.attention.key(rows(qkv_)), layer.attention.value(rows(qkv_)),
                          rows(rope_table_), slots_, pool_.layer(static_cast<int>(layer_idx)));
    return query;
  }

  void attend(const Attention& attention, const View& query, const ops::KvLayer& cache,
              const ops::AttentionBatch& batch) {
    if (!is_decode_) return ops::attention(ctx_, query, cache, batch, rows(attended_));
    const ops::ProjectedRows projected{query, attention.key(rows(qkv_)), attention.value(rows(qkv_)),
                                       rows(rope_table_), slots_};
    ops::store_and_attend(ctx_, projected, cache, batch, rows(attended_));
  }

  // Behind the last layer's keys only the tokens whose logits are wanted matter: drops the other rows of the
  // residual stream and of the queries.
  View keep_logits_rows(const View& query) {
    const std::int64_t width = query.dim(1) * query.dim(2);
    const View query_rows(query.data, DType::f32, Shape{num_rows_, width}, query.row_stride);
    const View residual = rows(residual_);
    num_rows_ = static_cast<std::int64_t>(logits_rows_.size());
    ops::embed(ctx_, logits_rows_, query_rows, rows(last_query_));
    ops::embed(ctx_, logits_rows_, residual, rows(last_residual_));
    std::swap(residual_, last_residual_);
    return {last_query_.data, DType::f32, Shape{num_rows_, query.dim(1), query.dim(2)}};
  }

  void finish_layer(std::size_t layer_idx, const View& query, ops::AttentionBatch attention) {
    const DecoderLayer& layer = model_.weights_.layers[layer_idx];
    attention.sliding_window = layer.attention.sliding_window;
    attend(layer.attention, query, pool_.layer(static_cast<int>(layer_idx)), attention);
    if (!see(LinearInput::attention_output, rows(attended_))) return;
    layer.attention.output.apply(ctx_, rows(attended_), rows(residual_), true);
    if (observe_ != nullptr) {
      const View normed = see_normed(LinearInput::gate_up, layer.post_attention_norm);
      if (normed.empty()) return;
      layer.mlp.activate(ctx_, normed, rows(activated_));
    } else {
      layer.mlp.activate(ctx_, layer.post_attention_norm, rows(residual_), rows(activated_));
    }
    if (!see(LinearInput::down, rows(activated_))) return;
    layer.mlp.down.apply(ctx_, rows(activated_), rows(residual_), true);
  }

  Ctx& ctx_;
  const Decoder& model_;
  KvPool& pool_;
  const Output output_;
  const LinearObserver* observe_;  // null: nobody looks on
  Workspace::Scope scope_;
  ops::Indices token_ids_, positions_, slots_, logits_rows_;  // of the slice
  View drawn_;                                                // of the step before, or empty
  ops::AttentionBatch attention_;                             // of all its rows
  ops::AttentionBatch last_attention_;                        // of its logits_rows, where these are fewer

  bool is_decode_ = false;     // every sequence of the slice has one token, whose logits are wanted
  std::int64_t num_rows_ = 0;  // of every buffer that are in use
  View residual_;              // [max_chunk, hidden_size] f32
  View normed_;                // [max_chunk, hidden_size] of the weight dtype, where somebody looks on
  View rope_table_;            // [max_chunk, head_dim] f32
  View qkv_;                   // [max_chunk, (num_heads + 2 num_kv_heads) * head_dim] f32
  View attended_;              // [max_chunk, num_heads * head_dim] of the weight dtype
  View activated_;             // [max_chunk, intermediate_size] of the weight dtype
  View last_residual_;         // [max_chunk, hidden_size] f32, behind keep_logits_rows
  View last_query_;            // [max_chunk, num_heads * head_dim] f32
  View resolved_ids_;          // [max_chunk] i32
};

Decoder::Decoder(Device device, const HfConfig& config, Rope rope, DecoderWeights weights,
                 std::int32_t block_len)
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
  info_.hidden_size = static_cast<std::int32_t>(config.hidden_size);
  info_.max_position_embeddings = static_cast<std::int32_t>(config.max_position_embeddings);
  info_.kv_layout = {weights_.layers.front().attention.qkv.dtype(), static_cast<std::int32_t>(num_kv_heads_),
                     static_cast<std::int32_t>(head_dim_), block_len};
  info_.decode_read_bytes = weights_.final_norm.bytes() + weights_.head.bytes();
  for (const DecoderLayer& layer : weights_.layers) info_.decode_read_bytes += layer.bytes();
  info_.weight_bytes =
      info_.decode_read_bytes + (weights_.embedding.empty() ? 0 : weights_.embedding.view().bytes());

  const auto width = static_cast<std::int64_t>(dtype_bytes(info_.kv_layout.dtype));
  const std::int64_t query_width = num_heads_ * head_dim_;
  const std::int64_t floats = 2 * hidden_size_ + 2 * query_width + 2 * num_kv_heads_ * head_dim_ + head_dim_;
  const std::int64_t gate_up_bytes = 2 * intermediate_size_ * (device == Device::cpu ? 4 : width);
  const std::int64_t row_bytes =
      4 * floats + width * (hidden_size_ + query_width + intermediate_size_) + gate_up_bytes;
  const auto [max_rows, max_bytes] = chunk_limits(device);
  max_chunk_ = std::clamp(max_bytes / row_bytes / kMinChunk * kMinChunk, kMinChunk, max_rows);
}

void Decoder::quantize_cache(std::int32_t bits, KeyCenters centers) {
  info_.kv_layout.quant_bits = bits;
  info_.key_centers = std::move(centers);
}

void Decoder::forward(Ctx& ctx, const Batch& batch, KvPool& pool, const View& logits) const {
  Pass pass(ctx, *this, pool, Pass::Output::logits);
  run(pass, batch, pool, logits);
}

void Decoder::forward_hidden(Ctx& ctx, const Batch& batch, KvPool& pool, const View& hidden) const {
  Pass pass(ctx, *this, pool, Pass::Output::hidden);
  run(pass, batch, pool, hidden);
}

void Decoder::run(Pass& pass, const Batch& batch, const KvPool& pool, const View& output) const {
  check_batch(batch);
  const auto num_tokens = std::ssize(batch.token_ids), num_rows = std::ssize(batch.logits_rows);
  CHECK(num_rows == 0 || output.shape == (Shape{num_rows, pass.output_width()}), "the output is {}",
        output.shape.to_string());
  for (std::int64_t begin = 0; begin < num_tokens; begin += max_chunk_) {
    const BatchSlice slice =
        slice_batch(batch, begin, std::min<std::int64_t>(begin + max_chunk_, num_tokens), pool.block_len());
    const auto count = std::ssize(slice.logits_rows);
    pass.run(slice, count == 0 ? View() : output.rows(slice.first_logit, count));
  }
}

void Decoder::forward_layer(Ctx& ctx, int layer_idx, const Batch& batch, KvPool& pool, const View& residual,
                            const LinearObserver& observe) const {
  check_batch(batch);
  const auto num_tokens = std::ssize(batch.token_ids);
  CHECK(residual.shape == (Shape{num_tokens, hidden_size_}), "residual is {}", residual.shape.to_string());
  Pass pass(ctx, *this, pool, Pass::Output::logits, &observe);
  for (std::int64_t begin = 0; begin < num_tokens; begin += max_chunk_) {
    const BatchSlice slice =
        slice_batch(batch, begin, std::min<std::int64_t>(begin + max_chunk_, num_tokens), pool.block_len());
    pass.run_layer(static_cast<std::size_t>(layer_idx), slice, residual.rows(begin, slice.num_tokens()));
  }
}

}  // namespace lmdeploy
