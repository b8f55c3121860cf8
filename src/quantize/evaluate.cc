#include "quantize/evaluate.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>
#include <vector>

#include "ops/ops.h"
#include "quantize/window_run.h"

namespace lmdeploy {
namespace {

// Sum of -log p of window[1..], each given what lies before it.
double score_window(Ctx& ctx, WindowRun& run, std::span<const std::int32_t> window) {
  double sum = 0;
  const auto num_scored = static_cast<std::int32_t>(window.size()) - 1;
  for (std::int32_t begin = 0; begin < num_scored; begin += run.slice_len()) {
    const std::int32_t end = std::min(begin + run.slice_len(), num_scored);
    std::vector<float> logprobs(static_cast<std::size_t>(end - begin));
    const View logits = run.feed(window, begin, end);
    ops::token_logprobs(ctx, logits, window.subspan(static_cast<std::size_t>(begin) + 1, logprobs.size()),
                        logprobs);
    sum -= std::accumulate(logprobs.begin(), logprobs.end(), 0.0);
  }
  return sum;
}

}  // namespace

Perplexity evaluate_perplexity(Ctx& ctx, const Model& model, std::span<const std::int32_t> ids,
                               const PerplexityOptions& options,
                               const std::function<void(const PerplexityProgress&)>& progress) {
  const Windows windows = cut_into_windows(std::ssize(ids), options.window, options.max_windows);
  check_window_ids(ids, model.info().vocab_size);
  const auto start = std::chrono::steady_clock::now();
  WindowRun run(ctx, model, windows.len, options.max_logits_bytes);
  Perplexity result;
  double sum = 0;
  for (std::int64_t i = 0; i < windows.count; i++) {
    sum += score_window(ctx, run, windows.get(ids, i));
    result.tokens += windows.len - 1;
    result.nll = sum / static_cast<double>(result.tokens);
    result.perplexity = std::exp(result.nll);
    if (progress) progress({i + 1, windows.count, result.perplexity});
  }
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return result;
}

}  // namespace lmdeploy
