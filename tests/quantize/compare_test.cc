#include "quantize/compare.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "model/model_session.h"

namespace lmdeploy::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

std::vector<double> probabilities(const Logits& logits) {
  const double peak = logits[static_cast<std::size_t>(argmax(logits))];
  std::vector<double> result;
  double sum = 0;
  for (const float logit : logits) {
    result.push_back(std::exp(logit - peak));
    sum += result.back();
  }
  for (double& p : result) p /= sum;
  return result;
}

class CompareModels : public ::testing::Test {
 protected:
  std::unique_ptr<const Model> load(DType dtype) {
    return load_model(cpu_.ctx, golden_folder("llama"), {.dtype = dtype});
  }
  std::vector<Logits> logits_of(const Model& model, const Ids& ids) {
    const auto len = static_cast<std::int32_t>(ids.size());
    return ModelSession(cpu_.ctx, model, 1, len).prefill(0, ids, len);
  }
  // By definition, of each position of one window.
  std::vector<double> divergences(const Ids& ids) {
    const std::vector<Logits> a = logits_of(*exact_, ids), b = logits_of(*rounded_, ids);
    std::vector<double> result;
    for (std::size_t i = 0; i < ids.size(); i++) {
      const std::vector<double> p = probabilities(a[i]), q = probabilities(b[i]);
      double sum = 0;
      for (std::size_t t = 0; t < p.size(); t++) sum += p[t] * std::log(p[t] / q[t]);
      result.push_back(sum);
    }
    return result;
  }

  Cpu cpu_;
  std::unique_ptr<const Model> exact_ = load(DType::f32);
  std::unique_ptr<const Model> rounded_ = load(DType::bf16);
  Ids ids_ = random_ids(100, 97, 1);
};

TEST_F(CompareModels, AModelLosesNothingAgainstItself) {
  for (const Model* model : {exact_.get(), rounded_.get()}) {
    const Comparison same = compare_models(cpu_.ctx, *model, *model, ids_, {.window = 50});
    EXPECT_EQ(same.mean_kl, 0);
    EXPECT_EQ(same.p99_kl, 0);
    EXPECT_EQ(same.max_kl, 0);
    EXPECT_EQ(same.num_changed, 0);
    EXPECT_EQ(same.num_positions, 100);
    EXPECT_EQ(same.a.nll, same.b.nll);
  }
}

TEST_F(CompareModels, IsTheDefinitionOverEveryPosition) {
  std::vector<double> expected;
  std::int64_t num_changed = 0;
  for (int i = 0; i < 2; i++) {
    const Ids window(ids_.begin() + 50 * i, ids_.begin() + 50 * (i + 1));
    const std::vector<double> kls = divergences(window);
    expected.insert(expected.end(), kls.begin(), kls.end());
    const std::vector<Logits> a = logits_of(*exact_, window), b = logits_of(*rounded_, window);
    for (std::size_t p = 0; p < a.size(); p++) num_changed += argmax(a[p]) != argmax(b[p]) ? 1 : 0;
  }
  double sum = 0;
  for (const double kl : expected) sum += kl;
  std::sort(expected.begin(), expected.end());

  const Comparison found = compare_models(cpu_.ctx, *exact_, *rounded_, ids_, {.window = 50});
  EXPECT_GT(found.mean_kl, 0);
  EXPECT_NEAR(found.mean_kl, sum / 100, 1e-9);
  EXPECT_NEAR(found.p99_kl, expected[98], 1e-9);
  EXPECT_NEAR(found.max_kl, expected[99], 1e-9);
  EXPECT_EQ(found.num_changed, num_changed);
}

TEST_F(CompareModels, PerplexitiesAreThoseOfEvaluatePerplexity) {
  const Comparison found = compare_models(cpu_.ctx, *exact_, *rounded_, ids_, {.window = 30});
  for (const auto& [side, model] : {std::pair(found.a, exact_.get()), std::pair(found.b, rounded_.get())}) {
    const Perplexity alone = evaluate_perplexity(cpu_.ctx, *model, ids_, {.window = 30});
    EXPECT_EQ(side.tokens, alone.tokens);
    EXPECT_NEAR(side.nll, alone.nll, 1e-12);
    EXPECT_DOUBLE_EQ(side.perplexity, std::exp(side.nll));
    EXPECT_GT(side.seconds, 0);
  }
}

TEST_F(CompareModels, SlicesOfLogitsChangeNothing) {
  const Comparison whole = compare_models(cpu_.ctx, *exact_, *rounded_, ids_, {.window = 90});
  for (const std::int64_t rows : {0, 1, 7, 64, 89}) {
    const Comparison sliced =
        compare_models(cpu_.ctx, *exact_, *rounded_, ids_, {.window = 90, .max_logits_bytes = rows * 97 * 4});
    EXPECT_EQ(sliced.max_kl, whole.max_kl) << rows << " rows";
    EXPECT_NEAR(sliced.mean_kl, whole.mean_kl, 1e-15) << rows << " rows";
    EXPECT_EQ(sliced.num_changed, whole.num_changed) << rows << " rows";
  }
}

TEST_F(CompareModels, ReportsProgressAndStopsAtMaxWindows) {
  double last = 0;
  std::int64_t calls = 0;
  const Comparison found = compare_models(cpu_.ctx, *exact_, *rounded_, ids_,
                                          {.window = 25, .max_windows = 3}, [&](const CompareProgress& now) {
                                            EXPECT_EQ(now.num_windows, 3);
                                            EXPECT_EQ(now.num_windows_done, ++calls);
                                            last = now.mean_kl;
                                          });
  EXPECT_EQ(calls, 3);
  EXPECT_EQ(found.num_positions, 75);
  EXPECT_EQ(last, found.mean_kl);
}

TEST_F(CompareModels, OtherVocabulariesAreRefusedEitherWay) {
  const auto other = load_model(cpu_.ctx, golden_folder("internlm2_5"), {});
  ASSERT_NE(other->info().vocab_size, exact_->info().vocab_size);
  const auto refusal = [&](const Model& a, const Model& b) -> std::string {
    try {
      compare_models(cpu_.ctx, a, b, ids_, {});
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  };
  const std::string own = std::to_string(exact_->info().vocab_size);
  const std::string others = std::to_string(other->info().vocab_size);
  EXPECT_THAT(refusal(*exact_, *other), AllOf(HasSubstr(own), HasSubstr(others)));
  EXPECT_THAT(refusal(*other, *exact_), AllOf(HasSubstr(own), HasSubstr(others)));
}

TEST_F(CompareModels, RefusesWhatCannotBeScored) {
  const auto refused = [&](const Ids& ids, const CompareOptions& options) {
    EXPECT_THROW(compare_models(cpu_.ctx, *exact_, *rounded_, ids, options), Error);
  };
  refused({}, {});
  refused({5}, {});
  refused({5, 6}, {.window = 1});
  refused({5, 97}, {});
}

}  // namespace
}  // namespace lmdeploy::testing
