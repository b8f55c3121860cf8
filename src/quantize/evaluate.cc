#include "quantize/evaluate.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>
#include <vector>

#include "base/error.h"
#include "ops/ops.h"

namespace lmdeploy {
namespace {

// Runs one window after another over the same cache blocks.
class WindowScorer {
 public:
  WindowScorer(Ctx& ctx, const Model& model, std::int32_t window, std::int64_t max_logits_bytes)
      : ctx_(ctx),
        model_(model),
        pool_(*ctx.allocator, model.info().kv_layout, model.info().num_layers,
              num_blocks(window, model.info().kv_layout.block_len)),
        block_table_(static_cast<std::size_t>(pool_.num_blocks())) {
    std::iota(block_table_.begin(), block_table_.end(), 0);
    const std::int64_t rows = max_logits_bytes / (std::int64_t{4} * model.info().vocab_size);
    slice_len_ = static_cast<std::int32_t>(std::clamp<std::int64_t>(rows, 1, window));
    logits_ = Tensor(*ctx.allocator, DType::f32, Shape{slice_len_, model.info().vocab_size});
  }

  // Sum of -log p of ids[1..], each given what lies before it.
  double score(std::span<const std::int32_t> ids) {
    double sum = 0;
    const auto num_scored = static_cast<std::int32_t>(ids.size()) - 1;
    for (std::int32_t begin = 0; begin < num_scored; begin += slice_len_)
      sum += score_slice(ids, begin, std::min(begin + slice_len_, num_scored));
    return sum;
  }

 private:
  static std::int64_t num_blocks(std::int32_t window, std::int32_t block_len) {
    return (window + block_len - 1) / block_len;
  }

  // Feeds tokens [begin, end), which predict tokens [begin + 1, end + 1).
  double score_slice(std::span<const std::int32_t> ids, std::int32_t begin, std::int32_t end) {
    const std::int32_t count = end - begin;
    std::vector<std::int32_t> positions(static_cast<std::size_t>(count)), rows(positions.size());
    std::iota(positions.begin(), positions.end(), begin);
    std::iota(rows.begin(), rows.end(), 0);
    const std::int32_t starts[] = {0, count};
    Batch batch;
    batch.token_ids = ids.subspan(static_cast<std::size_t>(begin), positions.size());
    batch.positions = positions;
    batch.query_starts = starts;
    batch.context_lens = {&end, 1};
    batch.block_tables = block_table_;
    batch.max_blocks = static_cast<std::int32_t>(block_table_.size());
    batch.logits_rows = rows;
    const View logits = logits_.view().rows(0, count);
    model_.forward(ctx_, batch, pool_, logits);

    std::vector<float> logprobs(positions.size());
    ops::token_logprobs(ctx_, logits, ids.subspan(static_cast<std::size_t>(begin) + 1, positions.size()),
                        logprobs);
    return -std::accumulate(logprobs.begin(), logprobs.end(), 0.0);
  }

  Ctx& ctx_;
  const Model& model_;
  KvPool pool_;
  std::vector<std::int32_t> block_table_;  // [num_blocks]
  std::int32_t slice_len_ = 0;             // tokens
  Tensor logits_;                          // [slice_len, vocab_size] f32
};

void check_ids(std::span<const std::int32_t> ids, std::int32_t vocab_size) {
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

}  // namespace

Perplexity evaluate_perplexity(Ctx& ctx, const Model& model, std::span<const std::int32_t> ids,
                               const PerplexityOptions& options,
                               const std::function<void(const PerplexityProgress&)>& progress) {
  if (options.window < 2)
    throw Error(fmt::format("the window has {} tokens; expected at least 2", options.window));
  check_ids(ids, model.info().vocab_size);
  const auto start = std::chrono::steady_clock::now();
  const auto window = static_cast<std::int32_t>(std::min<std::int64_t>(options.window, std::ssize(ids)));
  std::int64_t num_windows = std::ssize(ids) / window;
  if (options.max_windows > 0) num_windows = std::min(num_windows, options.max_windows);

  WindowScorer scorer(ctx, model, window, options.max_logits_bytes);
  Perplexity result;
  double sum = 0;
  for (std::int64_t i = 0; i < num_windows; i++) {
    sum += scorer.score(ids.subspan(static_cast<std::size_t>(i * window), static_cast<std::size_t>(window)));
    result.tokens += window - 1;
    result.nll = sum / static_cast<double>(result.tokens);
    result.perplexity = std::exp(result.nll);
    if (progress) progress({i + 1, num_windows, result.perplexity});
  }
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return result;
}

}  // namespace lmdeploy
