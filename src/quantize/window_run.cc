#include "quantize/window_run.h"

#include <algorithm>
#include <numeric>

#include "base/error.h"

namespace lmdeploy {

WindowRun::WindowRun(Ctx& ctx, const Model& model, std::int32_t window, std::int64_t max_logits_bytes)
    : ctx_(ctx),
      model_(model),
      pool_(make_kv_pool(ctx, model.info(),
                         (window + model.info().kv_layout.block_len - 1) / model.info().kv_layout.block_len)),
      block_table_(static_cast<std::size_t>(pool_.num_blocks())) {
  std::iota(block_table_.begin(), block_table_.end(), 0);
  const std::int64_t rows = max_logits_bytes / (std::int64_t{4} * model.info().vocab_size);
  slice_len_ = static_cast<std::int32_t>(std::clamp<std::int64_t>(rows, 1, window));
  logits_ = Tensor(*ctx.allocator, DType::f32, Shape{slice_len_, model.info().vocab_size});
}

View WindowRun::feed(std::span<const std::int32_t> window, std::int32_t begin, std::int32_t end) {
  const std::int32_t count = end - begin;
  CHECK(count > 0 && count <= slice_len_, "{} tokens, a slice has {}", count, slice_len_);
  std::vector<std::int32_t> positions(static_cast<std::size_t>(count)), rows(positions.size());
  std::iota(positions.begin(), positions.end(), begin);
  std::iota(rows.begin(), rows.end(), 0);
  const std::int32_t starts[] = {0, count};
  Batch batch;
  batch.token_ids = window.subspan(static_cast<std::size_t>(begin), positions.size());
  batch.positions = positions;
  batch.query_starts = starts;
  batch.context_lens = {&end, 1};
  batch.block_tables = block_table_;
  batch.max_blocks = static_cast<std::int32_t>(block_table_.size());
  batch.logits_rows = rows;
  const View logits = logits_.view().rows(0, count);
  model_.forward(ctx_, batch, pool_, logits);
  return logits;
}

void check_window_ids(std::span<const std::int32_t> ids, std::int32_t vocab_size) {
  if (ids.size() < 2)
    throw Error(fmt::format("the text has {} tokens; a perplexity needs at least 2", ids.size()),
                "Give a longer text.");
  const auto bad =
      std::find_if(ids.begin(), ids.end(), [&](std::int32_t id) { return id < 0 || id >= vocab_size; });
  if (bad != ids.end())
    throw Error(fmt::format("token {} is {}, outside the model's vocabulary of {}", bad - ids.begin(), *bad,
                            vocab_size),
                "The tokenizer belongs to another model; fetch the folder again.");
}

Windows cut_into_windows(std::int64_t num_ids, std::int32_t window, std::int64_t max_windows) {
  if (window < 2) throw Error(fmt::format("the window has {} tokens; expected at least 2", window));
  const auto len = static_cast<std::int32_t>(std::min<std::int64_t>(window, num_ids));
  const std::int64_t count = len == 0 ? 0 : num_ids / len;
  return {len, max_windows > 0 ? std::min(count, max_windows) : count};
}

}  // namespace lmdeploy
