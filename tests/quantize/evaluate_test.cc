#include "quantize/evaluate.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "model/model_session.h"

namespace lmdeploy::testing {
namespace {

class EvaluatePerplexity : public ::testing::Test {
 protected:
  // By definition: one window's logits at once, log-softmax in double.
  double window_nll(const Ids& ids) {
    const auto len = static_cast<std::int32_t>(ids.size());
    const std::vector<Logits> logits = ModelSession(cpu_.ctx, *model_, 1, len).prefill(0, ids, len);
    double sum = 0;
    for (std::size_t i = 1; i < ids.size(); i++) {
      const Logits& row = logits[i - 1];
      const double peak = row[static_cast<std::size_t>(argmax(row))];
      double total = 0;
      for (const float value : row) total += std::exp(value - peak);
      sum -= row[static_cast<std::size_t>(ids[i])] - peak - std::log(total);
    }
    return sum;
  }

  Cpu cpu_;
  std::unique_ptr<const Model> model_ = load_model(cpu_.ctx, golden_folder("llama"), {});
  Ids ids_ = random_ids(100, 97, 1);
};

TEST_F(EvaluatePerplexity, IsTheMeanOverWholeWindows) {
  double sum = 0;
  for (int i = 0; i < 3; i++) sum += window_nll(Ids(ids_.begin() + 30 * i, ids_.begin() + 30 * (i + 1)));
  const Perplexity result = evaluate_perplexity(cpu_.ctx, *model_, ids_, {.window = 30});
  EXPECT_EQ(result.tokens, 3 * 29);
  EXPECT_NEAR(result.nll, sum / (3 * 29), 1e-5);
  EXPECT_DOUBLE_EQ(result.perplexity, std::exp(result.nll));
  EXPECT_GT(result.seconds, 0);
}

TEST_F(EvaluatePerplexity, SlicesOfLogitsChangeNothing) {
  const Perplexity whole = evaluate_perplexity(cpu_.ctx, *model_, ids_, {.window = 90});
  for (const std::int64_t rows : {0, 1, 7, 64, 89}) {
    const PerplexityOptions options{.window = 90, .max_logits_bytes = rows * 97 * 4};
    EXPECT_EQ(evaluate_perplexity(cpu_.ctx, *model_, ids_, options).nll, whole.nll) << rows << " rows";
  }
}

TEST_F(EvaluatePerplexity, StopsAtMaxWindows) {
  const Perplexity result = evaluate_perplexity(cpu_.ctx, *model_, ids_, {.window = 30, .max_windows = 2});
  EXPECT_EQ(result.tokens, 2 * 29);
  const Ids first(ids_.begin(), ids_.begin() + 60);
  EXPECT_EQ(result.nll, evaluate_perplexity(cpu_.ctx, *model_, first, {.window = 30}).nll);
}

TEST_F(EvaluatePerplexity, AShortTextIsOneWindow) {
  const Perplexity result = evaluate_perplexity(cpu_.ctx, *model_, ids_, {});
  EXPECT_EQ(result.tokens, 99);
  EXPECT_NEAR(result.nll, window_nll(ids_) / 99, 1e-5);
}

TEST_F(EvaluatePerplexity, ReportsProgress) {
  std::vector<std::int64_t> done;
  double last = 0;
  const Perplexity result =
      evaluate_perplexity(cpu_.ctx, *model_, ids_, {.window = 25}, [&](const PerplexityProgress& progress) {
        EXPECT_EQ(progress.num_windows, 4);
        done.push_back(progress.num_windows_done);
        last = progress.perplexity;
      });
  EXPECT_EQ(done, (std::vector<std::int64_t>{1, 2, 3, 4}));
  EXPECT_EQ(last, result.perplexity);
}

TEST_F(EvaluatePerplexity, RefusesWhatCannotBeScored) {
  const auto refused = [&](const Ids& ids, const PerplexityOptions& options) {
    EXPECT_THROW(evaluate_perplexity(cpu_.ctx, *model_, ids, options), Error);
  };
  refused({}, {});
  refused({5}, {});
  refused({5, 6}, {.window = 1});
  refused({5, 97}, {});
  refused({5, -1}, {});
}

}  // namespace
}  // namespace lmdeploy::testing
