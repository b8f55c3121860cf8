#include "cli/repl.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <fstream>
#include <vector>

#include "support/temp_folder.h"

namespace lmdeploy::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
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
  void remember(const std::string& message) override { remembered.push_back(message); }
  void prompt() override { ++num_prompts; }
  void write(std::string_view text) override { written += text; }
  void note(const std::string& text) override { notes += text + "\n"; }
  bool take_interrupt() override { return std::exchange(interrupt, false); }

  std::string written, notes;
  std::vector<std::string> remembered;
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
    if (refuse || std::ssize(asked) == refused_call)
      return {.text = "", .end = ReplAnswer::End::refused, .problem = "no room"};
    on_text(text);
    return {.text = text,
            .end = should_stop() ? ReplAnswer::End::stopped : end,
            .problem = "",
            .tokens = {9, 30, 20}};
  }
  std::vector<Json> asked;
  bool refuse = false;
  std::ptrdiff_t refused_call = -1;  // counted from 1
  ReplAnswer::End end = ReplAnswer::End::complete;
};

Json message(const char* role, const char* content) {
  return {{"role", role}, {"content", content}};
}

std::string contents(const std::filesystem::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(Repl, AnEmptyLineSubmitsAndTheConversationGrows) {
  ScriptedTerminal terminal({"one", "more", "", "two", ""});
  CountingBackend backend;
  Repl(backend, terminal, {}).run();
  ASSERT_EQ(backend.asked.size(), 2U);
  EXPECT_THAT(backend.asked[0], ElementsAre(message("user", "one\nmore")));
  EXPECT_THAT(backend.asked[1],
              ElementsAre(message("user", "one\nmore"), message("assistant", "1"), message("user", "two")));
  EXPECT_EQ(terminal.written, "1\n2\n");
}

TEST(Repl, EndForgetsAndKeepsTheSystemMessage) {
  ScriptedTerminal terminal({"one", "", "end", "two", ""});
  CountingBackend backend;
  Repl(backend, terminal, {.system_message = "be brief"}).run();
  ASSERT_EQ(backend.asked.size(), 2U);
  EXPECT_THAT(backend.asked[1], ElementsAre(message("system", "be brief"), message("user", "two")));
}

TEST(Repl, ExitQuitsAtOnceAndTheCommandsAreWholeMessagesOnly) {
  ScriptedTerminal terminal({"please", "exit", "", "exit", "never", ""});
  CountingBackend backend;
  Repl(backend, terminal, {}).run();
  ASSERT_EQ(backend.asked.size(), 1U);
  EXPECT_THAT(backend.asked[0], ElementsAre(message("user", "please\nexit")));
}

TEST(Repl, TheEndOfTheInputSubmitsWhatIsThere) {
  ScriptedTerminal terminal({"one"});
  CountingBackend backend;
  Repl(backend, terminal, {}).run();
  EXPECT_EQ(backend.asked.size(), 1U);
}

TEST(Repl, EmptyMessagesAreNotSent) {
  ScriptedTerminal terminal({"", "", "end", "", "exit"});
  CountingBackend backend;
  Repl(backend, terminal, {}).run();
  EXPECT_TRUE(backend.asked.empty());
  EXPECT_EQ(terminal.num_prompts, 2) << "one at the start, one after `end`";
}

TEST(Repl, InterruptDropsWhatWasTypedAndGoesOn) {
  ScriptedTerminal terminal({"typo", "^C", "^C", "one", ""});
  CountingBackend backend;
  Repl(backend, terminal, {}).run();
  ASSERT_EQ(backend.asked.size(), 1U);
  EXPECT_THAT(backend.asked[0], ElementsAre(message("user", "one")));
  EXPECT_THAT(terminal.notes, HasSubstr("Ctrl-D"));
}

TEST(Repl, InterruptStopsTheAnswerAndNotTheProgram) {
  ScriptedTerminal terminal({"one", "", "two", ""});
  terminal.interrupt = true;
  CountingBackend backend;
  Repl(backend, terminal, {}).run();
  ASSERT_EQ(backend.asked.size(), 2U);
  EXPECT_THAT(terminal.notes, HasSubstr("Stopped"));
  EXPECT_EQ(backend.asked[1].size(), 3U) << "what was said before the stop stays in the conversation";
}

TEST(Repl, BytesThatAreNoTextBecomeReplacementCharacters) {
  ScriptedTerminal terminal({"caf\xe9 \xc3\xa9", ""});
  CountingBackend backend;
  Repl(backend, terminal, {}).run();
  ASSERT_EQ(backend.asked.size(), 1U);
  EXPECT_THAT(backend.asked[0], ElementsAre(message("user", "caf\xef\xbf\xbd \xc3\xa9")));
}

TEST(Repl, ARefusedQuestionIsTakenBack) {
  ScriptedTerminal terminal({"one", "", "two", ""});
  CountingBackend backend;
  backend.refuse = true;
  Repl(backend, terminal, {}).run();
  ASSERT_EQ(backend.asked.size(), 2U);
  EXPECT_THAT(backend.asked[1], ElementsAre(message("user", "two")));
  EXPECT_THAT(terminal.notes, HasSubstr("no room"));
}

TEST(Repl, SaysWhenAnAnswerIsAtItsLongest) {
  ScriptedTerminal terminal({"one", ""});
  CountingBackend backend;
  backend.end = ReplAnswer::End::length;
  Repl(backend, terminal, {}).run();
  EXPECT_THAT(terminal.notes, HasSubstr("`end`"));
}

TEST(Repl, HelpNamesEveryCommandAndSendsNothing) {
  ScriptedTerminal terminal({"/help", "", "exit"});
  CountingBackend backend;
  Repl(backend, terminal, {}).run();
  EXPECT_TRUE(backend.asked.empty());
  for (const char* word : {"/help", "/regen", "/system", "/save", "end", "exit", "space"})
    EXPECT_THAT(terminal.notes, HasSubstr(word));
}

TEST(Repl, RegenAnswersTheLastMessageAgain) {
  ScriptedTerminal terminal({"one", "", "two", "", "/regen", "three", ""});
  CountingBackend backend;
  Repl(backend, terminal, {}).run();
  ASSERT_EQ(backend.asked.size(), 4U);
  EXPECT_EQ(backend.asked[2], backend.asked[1]);
  EXPECT_THAT(backend.asked[3],
              ElementsAre(message("user", "one"), message("assistant", "1"), message("user", "two"),
                          message("assistant", "3"), message("user", "three")));
}

TEST(Repl, RegenAsksAQuestionAgainThatGotNoAnswer) {
  ScriptedTerminal terminal({"one", "", "two", "", "/regen"});
  CountingBackend backend;
  backend.refused_call = 2;
  Repl(backend, terminal, {}).run();
  ASSERT_EQ(backend.asked.size(), 3U);
  EXPECT_EQ(backend.asked[2], backend.asked[1]);
}

TEST(Repl, RegenThatIsRefusedKeepsTheEarlierAnswer) {
  ScriptedTerminal terminal({"one", "", "/regen", "two", ""});
  CountingBackend backend;
  backend.refused_call = 2;
  Repl(backend, terminal, {}).run();
  ASSERT_EQ(backend.asked.size(), 3U);
  EXPECT_THAT(backend.asked[2],
              ElementsAre(message("user", "one"), message("assistant", "1"), message("user", "two")));
  EXPECT_THAT(terminal.notes, HasSubstr("earlier answer"));
}

TEST(Repl, RegenWithoutAMessageSendsNothing) {
  ScriptedTerminal terminal({"/regen", "one", "", "end", "/regen"});
  CountingBackend backend;
  Repl(backend, terminal, {}).run();
  EXPECT_EQ(backend.asked.size(), 1U);
  EXPECT_THAT(terminal.notes, HasSubstr("no message yet"));
}

TEST(Repl, SystemSetsShowsAndRemoves) {
  ScriptedTerminal terminal({"one", "", "/system be\nbrief", "/system", "two", "", "end", "three", "",
                             "/system \"\"", "/system", "four", ""});
  CountingBackend backend;
  Repl(backend, terminal, {}).run();
  ASSERT_EQ(backend.asked.size(), 4U);
  EXPECT_THAT(backend.asked[1], ElementsAre(message("system", "be\nbrief"), message("user", "one"),
                                            message("assistant", "1"), message("user", "two")));
  EXPECT_THAT(backend.asked[2], ElementsAre(message("system", "be\nbrief"), message("user", "three")))
      << "`end` keeps it";
  EXPECT_EQ(backend.asked[3].front(), message("user", "three"));
  EXPECT_THAT(terminal.notes, HasSubstr("set.\nbe\nbrief\n"));
  EXPECT_THAT(terminal.notes, HasSubstr("removed.\nThere is no system prompt.\n"));
}

TEST(Repl, AnUnknownCommandIsNotSentAndNamesTheList) {
  ScriptedTerminal terminal({"/regenerate now", "", " /etc/hosts is what?", "", "/etc/hosts:\n1\n2", ""});
  CountingBackend backend;
  Repl(backend, terminal, {}).run();
  ASSERT_EQ(backend.asked.size(), 2U);
  EXPECT_THAT(terminal.notes, HasSubstr("/regenerate"));
  EXPECT_THAT(terminal.notes, HasSubstr("/help, /regen, /system, /save"));
  EXPECT_EQ(backend.asked[0].back(), message("user", " /etc/hosts is what?"));
  EXPECT_EQ(backend.asked[1].back(), message("user", "/etc/hosts:\n1\n2")) << "pasted text is a message";
}

TEST(Repl, ALineInTheMiddleOfAMessageIsNoCommand) {
  ScriptedTerminal terminal({"what is", "/help", ""});
  CountingBackend backend;
  Repl(backend, terminal, {}).run();
  ASSERT_EQ(backend.asked.size(), 1U);
  EXPECT_THAT(backend.asked[0], ElementsAre(message("user", "what is\n/help")));
}

TEST(Repl, SaveWritesWhereItSaysAndReplacesItsOwnFilesOnly) {
  const lmdeploy::testing::TempFolder folder;
  const std::string ours = (folder.path() / "chat.json").string();
  const std::string other = (folder.path() / "other.md").string();
  std::ofstream(other) << "keep";
  ScriptedTerminal terminal({"/save " + ours, "one", "", "/save " + ours, "two", "", "/save " + ours,
                             "/save " + other, "/save", "/save ~/notes.md"});
  CountingBackend backend;
  Repl(backend, terminal, {.home = folder.path()}).run();
  EXPECT_EQ(Json::parse(contents(ours))["messages"].size(), 4U);
  EXPECT_EQ(contents(other), "keep");
  EXPECT_THAT(contents(folder.path() / "notes.md"), HasSubstr("two"));
  for (const std::string& note : {std::string("nothing to save"), "Saved to " + ours,
                                  other + " is there already", std::string("needs a file")})
    EXPECT_THAT(terminal.notes, HasSubstr(note));
}

TEST(Repl, StatsFollowAnAnswerAndNotARefusal) {
  ScriptedTerminal terminal({"one", "", "two", ""});
  CountingBackend backend;
  backend.refused_call = 2;
  Repl(backend, terminal, {.stats = true}).run();
  EXPECT_THAT(terminal.notes, MatchesRegex("9 tokens, time to first token 0\\.0[0-9]+ s, 30 prompt tokens, "
                                           "20 cached tokens\nno room\n"));
}

TEST(Repl, MessagesAndCommandsAreRemembered) {
  ScriptedTerminal terminal({"one", "more", "", "/help", "end", "two", "^C", "exit"});
  CountingBackend backend;
  Repl(backend, terminal, {}).run();
  EXPECT_THAT(terminal.remembered, ElementsAre("one\nmore", "/help"));
}

}  // namespace
}  // namespace lmdeploy::cli
