#include "engine/cost_model.h"

#include <gtest/gtest.h>

#include <random>

#include "base/error.h"

namespace lmdeploy {
namespace {

constexpr StepCost kGuess = {
    .step_ms = 27, .token_ms = 2.7, .draw_ms = 0.5, .pair_ms = 0.001, .context_token_ms = 0.002};
constexpr StepCost kTruth = {
    .step_ms = 9, .token_ms = 0.6, .draw_ms = 0.3, .pair_ms = 0.0002, .context_token_ms = 0.001};

StepWork decodes(int count, int context_len) {
  StepWork work;
  for (int i = 0; i < count; i++) work.add(context_len - 1, 1, true);
  return work;
}
StepWork mixed(int count, int context_len, int first, int num_tokens) {
  StepWork work = decodes(count, context_len);
  work.add(first, num_tokens, false);
  return work;
}
double relative_error(const CostModel& model, const StepWork& work) {
  return model.cost().predict(work) / kTruth.predict(work) - 1;
}

TEST(StepWork, CountsWhatIsAttendedTo) {
  StepWork work;
  work.add(10, 3, false);  // attends to 11, 12 and 13 tokens
  work.add(99, 1, true);
  EXPECT_EQ(work.num_tokens, 4);
  EXPECT_EQ(work.num_draws, 1);
  EXPECT_EQ(work.num_pairs, 36 + 100);
  EXPECT_EQ(work.num_context_tokens, 13 + 100);
}

TEST(CostModel, BeginsWithTheGuess) {
  const CostModel model(kGuess);
  EXPECT_EQ(model.cost().predict(mixed(2, 50, 0, 64)), kGuess.predict(mixed(2, 50, 0, 64)));
}

TEST(CostModel, LearnsFromAFewSteps) {
  CostModel model(kGuess);
  for (int first = 0; first < 512; first += 64) {
    const StepWork prompt = mixed(0, 0, first, 64);
    model.observe(prompt, kTruth.predict(prompt));
  }
  EXPECT_LT(std::abs(relative_error(model, mixed(0, 0, 512, 64))), 0.1);
  for (int context_len = 100; context_len < 110; context_len++) {
    const StepWork work = decodes(8, context_len);
    model.observe(work, kTruth.predict(work));
  }
  EXPECT_LT(std::abs(relative_error(model, decodes(8, 111))), 0.05);
}

// What decides the pause of running answers: both steps of the ratio, with noise as on a busy machine.
TEST(CostModel, PredictsMixedStepsWithinAFifth) {
  CostModel model(kGuess);
  std::mt19937 random(1);
  const auto observe = [&](const StepWork& work) {
    model.observe(work, kTruth.predict(work) * (0.95 + 0.1 * static_cast<double>(random() % 1000) / 1000));
  };
  for (int i = 0; i < 200; i++) observe(decodes(8, 100 + i));
  for (int i = 0; i < 20; i++) observe(mixed(8, 300 + i, 40 * i, 40));
  EXPECT_LT(std::abs(relative_error(model, mixed(8, 321, 840, 40))), 0.2);
  EXPECT_LT(std::abs(relative_error(model, mixed(8, 321, 840, 80))), 0.2);
  EXPECT_LT(std::abs(relative_error(model, decodes(8, 321))), 0.2);
}

TEST(CostModel, RemembersPromptsThroughALongAnswer) {
  CostModel model(kGuess);
  const StepWork prompt = mixed(0, 0, 0, 256);
  for (int i = 0; i < 10; i++) model.observe(prompt, kTruth.predict(prompt));
  for (int i = 0; i < 5000; i++) model.observe(decodes(1, 300 + i), kTruth.predict(decodes(1, 300 + i)));
  EXPECT_LT(std::abs(relative_error(model, prompt)), 0.25);
}

TEST(CostModel, FollowsAMachineThatBecomesSlower) {
  CostModel model(kGuess);
  for (int i = 0; i < 1000; i++) model.observe(decodes(8, 100), kTruth.predict(decodes(8, 100)));
  for (int i = 0; i < 200; i++) model.observe(decodes(8, 100), 2 * kTruth.predict(decodes(8, 100)));
  EXPECT_NEAR(relative_error(model, decodes(8, 100)), 1, 0.1);
}

TEST(CostModel, AnInterruptedStepChangesLittle) {
  CostModel model(kGuess);
  const StepWork work = decodes(8, 100);
  for (int i = 0; i < 100; i++) model.observe(work, kTruth.predict(work));
  model.observe(work, 50 * kTruth.predict(work));
  EXPECT_LT(std::abs(relative_error(model, work)), 0.1);
}

TEST(CostModel, StaysPositiveWhateverIsMeasured) {
  CostModel model(kGuess);
  std::mt19937 random(1);
  for (int i = 0; i < 2000; i++) {
    const int first = static_cast<int>(random() % 4000);
    const int len = static_cast<int>(random() % 500) + 1;
    model.observe(mixed(static_cast<int>(random() % 9), 100, first, len),
                  static_cast<double>(random() % 1000) / 100);
  }
  const StepCost cost = model.cost();
  for (const double term : {cost.step_ms, cost.token_ms, cost.draw_ms, cost.pair_ms, cost.context_token_ms}) {
    EXPECT_GT(term, 0);
    EXPECT_LT(term, 1e4);
  }
}

// A prompt in chunks of equal time, of a model whose steps cost almost nothing beside their tokens: what is
// taken from one term may not be put on another.
TEST(CostModel, TermsThatVanishDoNotSpoilTheOthers) {
  constexpr StepCost kCheap = {
      .step_ms = 0.01, .token_ms = 0.6, .draw_ms = 0.001, .pair_ms = 1e-6, .context_token_ms = 1e-6};
  CostModel model(kGuess);
  for (int i = 0; i < 60; i++) {
    const StepWork work = mixed(0, 0, 64 * i, 40 + i % 3 * 20);
    model.observe(work, kCheap.predict(work));
  }
  const StepWork next = mixed(0, 0, 4000, 64);
  EXPECT_NEAR(model.cost().predict(next) / kCheap.predict(next), 1, 0.05);
  const StepWork shorter = mixed(0, 0, 4000, 32);
  EXPECT_NEAR(model.cost().predict(shorter) / kCheap.predict(shorter), 1, 0.1);
}

TEST(CostModel, AGuessOfNothingIsOurBug) {
  EXPECT_THROW(CostModel({.step_ms = 1}), CheckFailure);
}

}  // namespace
}  // namespace lmdeploy
