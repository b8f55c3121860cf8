#include "quantize/compare.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>
#include <vector>

#include "base/error.h"
#include "ops/ops.h"
#include "quantize/window_run.h"

namespace lmdeploy {
namespace {

using Ids = std::span<const std::int32_t>;

// One of the two models: what it predicts of a slice, and its own score.
class Side {
 public:
  Side(Ctx& ctx, const Model& model, std::int32_t window, std::int64_t max_logits_bytes)
      : ctx_(ctx), run_(ctx, model, window, max_logits_bytes) {}

  std::int32_t slice_len() const noexcept { return run_.slice_len(); }

  View predict(Ids window, std::int32_t begin, std::int32_t end) {
    const auto start = std::chrono::steady_clock::now();
    const View logits = run_.feed(window, begin, end);
    seconds_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    score(logits, window, begin);
    return logits;
  }

  // Most likely tokens, as the engine's greedy draw takes them.
  std::vector<std::int32_t> greedy(const View& logits) {
    const std::vector<ops::SamplingRow> rows(static_cast<std::size_t>(logits.dim(0)), {.temperature = 0});
    std::vector<std::int32_t> tokens(rows.size());
    ops::sample(ctx_, logits, rows, tokens);
    return tokens;
  }

  Perplexity perplexity() const {
    const double nll = sum_ / static_cast<double>(num_scored_);
    return {.perplexity = std::exp(nll), .nll = nll, .tokens = num_scored_, .seconds = seconds_};
  }

 private:
  // The last position of a window predicts what is not there to be scored.
  void score(const View& logits, Ids window, std::int32_t begin) {
    const auto count = static_cast<std::size_t>(logits.dim(0));
    std::vector<std::int32_t> targets(count, -1);
    const Ids next = window.subspan(static_cast<std::size_t>(begin) + 1);
    std::copy_n(next.begin(), std::min(count, next.size()), targets.begin());
    std::vector<float> logprobs(count);
    ops::token_logprobs(ctx_, logits, targets, logprobs);
    sum_ -= std::accumulate(logprobs.begin(), logprobs.end(), 0.0);
    num_scored_ += static_cast<std::int64_t>(std::min(count, next.size()));
  }

  Ctx& ctx_;
  WindowRun run_;
  double sum_ = 0;  // of -log p
  std::int64_t num_scored_ = 0;
  double seconds_ = 0;
};

class Comparer {
 public:
  Comparer(Ctx& ctx, const Model& a, const Model& b, std::int32_t window, std::int64_t max_logits_bytes)
      : ctx_(ctx), a_(ctx, a, window, max_logits_bytes), b_(ctx, b, window, max_logits_bytes) {}

  void add(Ids window) {
    const auto len = static_cast<std::int32_t>(window.size());
    for (std::int32_t begin = 0; begin < len; begin += a_.slice_len()) {
      const std::int32_t end = std::min(begin + a_.slice_len(), len);
      const View p = a_.predict(window, begin, end), q = b_.predict(window, begin, end);
      std::vector<double> kl(static_cast<std::size_t>(end - begin));
      ops::kl_divergence(ctx_, p, q, kl);
      if (const auto bad = std::find_if(kl.begin(), kl.end(), [](double x) { return std::isnan(x); });
          bad != kl.end())
        throw Error(fmt::format("at position {} of a window one of the models predicts what is not a number",
                                begin + (bad - kl.begin())),
                    "Look for NaN in its weights; float16 may overflow where bfloat16 does not.");
      sum_ += std::accumulate(kl.begin(), kl.end(), 0.0);
      kls_.insert(kls_.end(), kl.begin(), kl.end());
      count_changed(a_.greedy(p), b_.greedy(q));
    }
  }

  double mean_kl() const { return sum_ / static_cast<double>(kls_.size()); }

  Comparison result() const {
    Comparison result;
    result.a = a_.perplexity();
    result.b = b_.perplexity();
    result.mean_kl = mean_kl();
    std::vector<double> sorted = kls_;
    const auto rank = (99 * std::ssize(sorted) + 99) / 100;  // of n values, from 1: ceil(0.99 n)
    std::nth_element(sorted.begin(), sorted.begin() + (rank - 1), sorted.end());
    result.p99_kl = sorted[static_cast<std::size_t>(rank - 1)];
    result.max_kl = *std::max_element(sorted.begin(), sorted.end());
    result.num_positions = std::ssize(kls_);
    result.num_changed = num_changed_;
    return result;
  }

 private:
  void count_changed(const std::vector<std::int32_t>& a, const std::vector<std::int32_t>& b) {
    for (std::size_t i = 0; i < a.size(); i++) num_changed_ += a[i] != b[i] ? 1 : 0;
  }

  Ctx& ctx_;
  Side a_, b_;
  std::vector<double> kls_;  // of all positions so far
  double sum_ = 0;
  std::int64_t num_changed_ = 0;
};

}  // namespace

Comparison compare_models(Ctx& ctx, const Model& a, const Model& b, Ids ids, const CompareOptions& options,
                          const std::function<void(const CompareProgress&)>& progress) {
  if (a.info().vocab_size != b.info().vocab_size)
    throw Error(fmt::format("the first model's vocabulary has {} tokens, the second one's {}",
                            a.info().vocab_size, b.info().vocab_size),
                "Only models that predict the same tokens can be compared: a model and its quantised forms.");
  const Windows windows = cut_into_windows(std::ssize(ids), options.window, options.max_windows);
  check_window_ids(ids, a.info().vocab_size);
  Comparer comparer(ctx, a, b, windows.len, options.max_logits_bytes);
  for (std::int64_t i = 0; i < windows.count; i++) {
    comparer.add(windows.get(ids, i));
    if (progress) progress({i + 1, windows.count, comparer.mean_kl()});
  }
  return comparer.result();
}

}  // namespace lmdeploy
