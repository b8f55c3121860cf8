#include "quantize/block_runner.h"

#include <numeric>
#include <utility>

#include "base/error.h"

namespace lmdeploy {
namespace {

constexpr std::int32_t kBlockLen = 64;  // tokens per block of the cache

std::unique_ptr<Decoder> make_single_layer(Ctx& ctx, const BlockSource& source, std::int64_t layer_idx) {
  HfConfig config = source.config;
  WeightReader reader(ctx, source.checkpoint, {.dtype = source.dtype});
  DecoderWeights weights;
  weights.layers.push_back(source.architecture.read_layer({source.config, reader, {}}, layer_idx));
  config.num_hidden_layers = 1;
  Rope rope = make_rope(config.rope, config.head_dim, config.max_position_embeddings, 0);
  return std::make_unique<Decoder>(ctx.device, config, std::move(rope), std::move(weights), kBlockLen);
}

}  // namespace

BlockRunner::BlockRunner(Ctx& ctx, const BlockSource& source, std::int64_t layer_idx,
                         const StreamShape& shape)
    : ctx_(ctx),
      shape_(shape),
      layer_(make_single_layer(ctx, source, layer_idx)),
      pool_(ctx, layer_->info().kv_layout, 1, (shape.seqlen + kBlockLen - 1) / kBlockLen),
      positions_(static_cast<std::size_t>(shape.seqlen)),
      block_table_(static_cast<std::size_t>(pool_.num_blocks())) {
  std::iota(positions_.begin(), positions_.end(), 0);
  std::iota(block_table_.begin(), block_table_.end(), 0);
}

void BlockRunner::run(const StreamReader& input, StreamWriter* output, const LinearObserver& observe,
                      const std::function<void()>& after_sample) {
  const Workspace::Scope scope(*ctx_.workspace);
  const View hidden = ctx_.workspace->take(DType::f32, {shape_.seqlen, shape_.hidden_size});
  for (std::int64_t sample_idx = 0; sample_idx < shape_.num_samples; sample_idx++) {
    input.read(ctx_, sample_idx, hidden);
    run_sample(hidden, observe);
    if (output != nullptr) output->write(ctx_, sample_idx, hidden);
    after_sample();
  }
}

void BlockRunner::read_input(const StreamReader& input, std::int64_t sample_idx, LinearInput which,
                             const View& rows) {
  const Workspace::Scope scope(*ctx_.workspace);
  const View hidden = ctx_.workspace->take(DType::f32, {shape_.seqlen, shape_.hidden_size});
  input.read(ctx_, sample_idx, hidden);
  std::int64_t num_seen = 0;  // the layer computes chunk after chunk
  run_sample(hidden, [&](LinearInput seen, const View& x) {
    if (seen != which) return true;
    ops::cast(ctx_, x, rows.rows(num_seen, x.dim(0)));
    num_seen += x.dim(0);
    return false;
  });
}

void BlockRunner::run_sample(const View& hidden, const LinearObserver& observe) {
  const auto len = static_cast<std::int32_t>(shape_.seqlen);
  const std::int32_t starts[] = {0, len};
  Batch batch;
  batch.token_ids = positions_;  // as many; a layer alone reads none
  batch.positions = positions_;
  batch.query_starts = starts;
  batch.context_lens = {&len, 1};
  batch.block_tables = block_table_;
  batch.max_blocks = static_cast<std::int32_t>(block_table_.size());
  layer_->forward_layer(ctx_, 0, batch, pool_, hidden, observe);
}

void write_embeddings(Ctx& ctx, const BlockSource& source, const CalibrationSamples& samples,
                      StreamWriter& output) {
  const std::string& name = source.architecture.outer.embedding;
  const HfConfig& config = source.config;
  View table = source.checkpoint->get(name);  // [vocab_size, hidden_size]
  if (!(table.shape == (Shape{config.vocab_size, config.hidden_size})))
    throw Error(fmt::format("tensor {} has shape {}; config.json makes it [{}, {}]", name,
                            table.shape.to_string(), config.vocab_size, config.hidden_size),
                "config.json and the weights do not belong together; fetch the folder again.");
  Tensor on_card;  // not in the workspace, which would keep its size
  if (ctx.device != Device::cpu) {
    on_card = Tensor(*ctx.allocator, table.dtype, table.shape);
    ops::copy_from_host(ctx, table, on_card);
    table = on_card;
  }
  const Workspace::Scope scope(*ctx.workspace);
  const View hidden = ctx.workspace->take(DType::f32, {samples.seqlen, config.hidden_size});
  for (std::int64_t i = 0; i < samples.num_samples; i++) {
    ops::embed(ctx, samples.sample(i), table, hidden);
    output.write(ctx, i, hidden);
  }
  source.checkpoint->release(name);
}

}  // namespace lmdeploy
