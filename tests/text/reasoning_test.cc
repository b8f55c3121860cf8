#include "text/reasoning.h"

#include <gtest/gtest.h>

namespace lmdeploy {
namespace {

using Start = ReasoningStart;

struct Divided {
  std::string reasoning, rest;
  bool operator==(const Divided&) const = default;
};
void PrintTo(const Divided& divided, std::ostream* out) {
  *out << "[" << divided.reasoning << "] [" << divided.rest << "]";
}

Divided divide(Start start, std::string_view text, std::size_t cut) {
  ReasoningSplitter splitter(start);
  Divided sum;
  const auto add = [&](const ReasoningSplitter::Pieces& pieces) {
    sum.reasoning += pieces.reasoning;
    sum.rest += pieces.rest;
  };
  add(splitter.feed(text.substr(0, cut)));
  add(splitter.feed(text.substr(cut)));
  add(splitter.finish());
  return sum;
}

struct Case {
  Start start;
  std::string text;
  Divided expected;
};

TEST(Reasoning, is_divided_the_same_wherever_it_is_cut) {
  const std::vector<Case> cases{
      {Start::undecided, "plain", {"", "plain"}},
      {Start::undecided, "  plain ", {"", "  plain "}},
      {Start::undecided, "<think>\nwhy\n</think>\n\nbecause", {"why", "because"}},
      {Start::undecided, "\n<think>a b\n\nc</think>x\n", {"a b\n\nc", "x\n"}},
      {Start::undecided, "<think>\n\n</think>\n\nx", {"", "x"}},
      {Start::undecided, "<thin", {"", "<thin"}},
      {Start::undecided, "<thinx", {"", "<thinx"}},
      {Start::undecided, "<think>never closed ", {"never closed", ""}},
      {Start::undecided, "<think>a </thin", {"a </thin", ""}},
      {Start::undecided, "say <think> later</think>", {"", "say <think> later</think>"}},
      {Start::undecided, "<<think>x", {"", "<<think>x"}},
      {Start::undecided, "", {"", ""}},
      {Start::undecided, " ", {"", " "}},
      {Start::open, "\nwhy</think>so", {"why", "so"}},
      {Start::open, "<think>why</think>so", {"why", "so"}},
      {Start::open, "</think>\nso", {"", "so"}},
      {Start::open, "a<b</think></think>", {"a<b", "</think>"}},
      {Start::open, "<thi", {"<thi", ""}},
      {Start::open, "why </think> {\"a\": 1}", {"why", "{\"a\": 1}"}},
      {Start::closed, "so <think>", {"", "so <think>"}},
  };
  for (const Case& c : cases)
    for (std::size_t cut = 0; cut <= c.text.size(); ++cut)
      EXPECT_EQ(divide(c.start, c.text, cut), c.expected) << c.text << " cut at " << cut;
}

TEST(Reasoning, the_prompt_says_how_an_answer_starts) {
  constexpr ReasoningFormat kQwen{"qwen3", false}, kR1{"deepseek-r1", true};
  EXPECT_EQ(reasoning_start(kQwen, "<|im_start|>assistant\n"), Start::undecided);
  EXPECT_EQ(reasoning_start(kQwen, "<|im_start|>assistant\n<think>\n"), Start::open);
  EXPECT_EQ(reasoning_start(kQwen, "<|im_start|>assistant\n<think>\n\n</think>\n\n"), Start::closed);
  EXPECT_EQ(reasoning_start(kR1, "<|im_start|>assistant\n"), Start::open);
  EXPECT_EQ(reasoning_start(kR1, "<|im_start|>assistant\n<think>\n\n</think>\n\n"), Start::closed);
}

TEST(Reasoning, knows_while_it_reads) {
  ReasoningSplitter splitter(Start::undecided);
  EXPECT_FALSE(splitter.in_reasoning());
  splitter.feed("<think>");
  EXPECT_TRUE(splitter.in_reasoning());
  splitter.feed("a</think>");
  EXPECT_FALSE(splitter.in_reasoning());
}

}  // namespace
}  // namespace lmdeploy
