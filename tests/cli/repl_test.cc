#include "cli/repl.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <vector>

namespace lmdeploy::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Json = nlohmann::ordered_json;

// Lines that a person types; ^C is Ctrl-C. The end of the list is the end of the input.
class ScriptedTerminal : public ReplTerminal {
 public:
  explicit ScriptedTerminal(std::deque<std::string> lines) : lines_(std::move(lines)) {}
  Read read_line(std::string& line) override {
    if (lines_.empty()) return Read::end;
    line = lines_.front();
    lines_.pop_front();
    return line == "^C" ? Read::interrupted : Read::line;
  }
  void prompt() override { ++num_prompts; }
  void write(std::string_view text) override { written += text; }
  void note(const std::string& text) override { notes += text + "\n"; }
  bool take_interrupt() override { return std::exchange(interrupt, false); }

  std::string written, notes;
  int num_prompts = 0;
  bool interrupt = false;

 private:
  std::deque<std::string> lines_;
};

// Answers "1", "2", ... and keeps what it was asked.
class CountingBackend : public ReplBackend {
 public:
  ReplAnswer answer(const Json& messages, const std::function<void(std::string_view)>& on_text,
                    const std::function<bool()>& should_stop) override {
    asked.push_back(messages);
    const std::string text = std::to_string(asked.size());
    if (refuse) return {"", ReplAnswer::End::refused, "no room"};
    on_text(text);
    return {text, should_stop() ? ReplAnswer::End::stopped : end, ""};
  }
  std::vector<Json> asked;
  bool refuse = false;
  ReplAnswer::End end = ReplAnswer::End::complete;
};

Json message(const char* role, const char* content) {
  return {{"role", role}, {"content", content}};
}

TEST(Repl, AnEmptyLineSubmitsAndTheConversationGrows) {
  ScriptedTerminal terminal({"one", "more", "", "two", ""});
  CountingBackend backend;
  Repl(backend, terminal, "").run();
  ASSERT_EQ(backend.asked.size(), 2U);
  EXPECT_THAT(backend.asked[0], ElementsAre(message("user", "one\nmore")));
  EXPECT_THAT(backend.asked[1],
              ElementsAre(message("user", "one\nmore"), message("assistant", "1"), message("user", "two")));
  EXPECT_EQ(terminal.written, "1\n2\n");
}

TEST(Repl, EndForgetsAndKeepsTheSystemMessage) {
  ScriptedTerminal terminal({"one", "", "end", "two", ""});
  CountingBackend backend;
  Repl(backend, terminal, "be brief").run();
  ASSERT_EQ(backend.asked.size(), 2U);
  EXPECT_THAT(backend.asked[1], ElementsAre(message("system", "be brief"), message("user", "two")));
}

TEST(Repl, ExitQuitsAtOnceAndTheCommandsAreWholeMessagesOnly) {
  ScriptedTerminal terminal({"please", "exit", "", "exit", "never", ""});
  CountingBackend backend;
  Repl(backend, terminal, "").run();
  ASSERT_EQ(backend.asked.size(), 1U);
  EXPECT_THAT(backend.asked[0], ElementsAre(message("user", "please\nexit")));
}

TEST(Repl, TheEndOfTheInputSubmitsWhatIsThere) {
  ScriptedTerminal terminal({"one"});
  CountingBackend backend;
  Repl(backend, terminal, "").run();
  EXPECT_EQ(backend.asked.size(), 1U);
}

TEST(Repl, EmptyMessagesAreNotSent) {
  ScriptedTerminal terminal({"", "", "end", "", "exit"});
  CountingBackend backend;
  Repl(backend, terminal, "").run();
  EXPECT_TRUE(backend.asked.empty());
  EXPECT_EQ(terminal.num_prompts, 2) << "one at the start, one after `end`";
}

TEST(Repl, InterruptDropsWhatWasTypedAndGoesOn) {
  ScriptedTerminal terminal({"typo", "^C", "^C", "one", ""});
  CountingBackend backend;
  Repl(backend, terminal, "").run();
  ASSERT_EQ(backend.asked.size(), 1U);
  EXPECT_THAT(backend.asked[0], ElementsAre(message("user", "one")));
  EXPECT_THAT(terminal.notes, HasSubstr("Ctrl-D"));
}

TEST(Repl, InterruptStopsTheAnswerAndNotTheProgram) {
  ScriptedTerminal terminal({"one", "", "two", ""});
  terminal.interrupt = true;
  CountingBackend backend;
  Repl(backend, terminal, "").run();
  ASSERT_EQ(backend.asked.size(), 2U);
  EXPECT_THAT(terminal.notes, HasSubstr("Stopped"));
  EXPECT_EQ(backend.asked[1].size(), 3U) << "what was said before the stop stays in the conversation";
}

TEST(Repl, BytesThatAreNoTextBecomeReplacementCharacters) {
  ScriptedTerminal terminal({"caf\xe9 \xc3\xa9", ""});
  CountingBackend backend;
  Repl(backend, terminal, "").run();
  ASSERT_EQ(backend.asked.size(), 1U);
  EXPECT_THAT(backend.asked[0], ElementsAre(message("user", "caf\xef\xbf\xbd \xc3\xa9")));
}

TEST(Repl, ARefusedQuestionIsTakenBack) {
  ScriptedTerminal terminal({"one", "", "two", ""});
  CountingBackend backend;
  backend.refuse = true;
  Repl(backend, terminal, "").run();
  ASSERT_EQ(backend.asked.size(), 2U);
  EXPECT_THAT(backend.asked[1], ElementsAre(message("user", "two")));
  EXPECT_THAT(terminal.notes, HasSubstr("no room"));
}

TEST(Repl, SaysWhenAnAnswerIsAtItsLongest) {
  ScriptedTerminal terminal({"one", ""});
  CountingBackend backend;
  backend.end = ReplAnswer::End::length;
  Repl(backend, terminal, "").run();
  EXPECT_THAT(terminal.notes, HasSubstr("`end`"));
}

}  // namespace
}  // namespace lmdeploy::cli
