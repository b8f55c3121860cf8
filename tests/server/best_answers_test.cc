#include "server/best_answers.h"

#include <gtest/gtest.h>

namespace lmdeploy {
namespace {

std::vector<std::string> texts_of(std::vector<AnswerChunk> chunks, std::size_t num_choices) {
  std::vector<std::string> texts(num_choices);
  for (const AnswerChunk& chunk : chunks) texts.at(static_cast<std::size_t>(chunk.choice_idx)) += chunk.text;
  return texts;
}

TEST(BestAnswers, are_the_likeliest_by_token) {
  BestAnswers best(1, 3, 2);
  best.add({.choice_idx = 0, .text = "long"});
  for (int i = 0; i < 10; ++i) best.add_logprob(0, -1);
  best.add({.choice_idx = 1, .text = "unli"});
  best.add_logprob(1, -3);
  best.add({.choice_idx = 2, .text = "good"});
  best.add_logprob(2, -0.5F);
  best.add({.choice_idx = 1, .text = "kely"});
  EXPECT_EQ(texts_of(best.take(), 2), (std::vector<std::string>{"good", "long"}));
}

TEST(BestAnswers, of_several_prompts_and_of_equals_the_first) {
  BestAnswers best(2, 2, 1);
  for (std::int32_t i = 0; i < 4; ++i) {
    best.add({.choice_idx = i, .text = std::to_string(i)});
    best.add_logprob(i, i == 3 ? -1.0F : -2.0F);
  }
  EXPECT_EQ(texts_of(best.take(), 2), (std::vector<std::string>{"0", "3"}));
}

}  // namespace
}  // namespace lmdeploy
