#pragma once
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <string_view>

#include "cli/answer_stats.h"
#include "cli/chat_command.h"
#include "cli/conversation.h"

namespace lmdeploy::cli {

// The end of one answer.
struct ReplAnswer {
  enum class End {
    complete,
    length,   // the longest answer or the session length was reached
    stopped,  // by the user
    refused,  // there is no answer; `problem` says why
  };
  std::string text;  // what the history keeps
  End end = End::complete;
  std::string problem;
  AnswerTokens tokens = {};
};

// Who answers: a model in this process, or a server.
class ReplBackend {
 public:
  virtual ~ReplBackend() = default;
  // messages: [{"role", "content"}]. Every piece of text goes to on_text; ends early once should_stop.
  virtual ReplAnswer answer(const nlohmann::ordered_json& messages,
                            const std::function<void(std::string_view)>& on_text,
                            const std::function<bool()>& should_stop) = 0;
};

// Where lines come from and where text goes.
class ReplTerminal {
 public:
  enum class Read { line, interrupted, end };
  virtual ~ReplTerminal() = default;
  virtual Read read_line(std::string& line) = 0;  // without its line end; pasted text may hold line feeds
  virtual void remember(const std::string& message) = 0;  // to be brought back when asked for
  virtual void prompt() = 0;
  virtual void write(std::string_view text) = 0;   // of the answer
  virtual void note(const std::string& text) = 0;  // from the program to the user
  virtual bool take_interrupt() = 0;               // Ctrl-C since the last call
};

struct ReplOptions {
  std::string system_message = {};  // empty for none
  bool stats = false;               // a line about tokens and time after each answer
  std::filesystem::path home = {};  // what ~/ stands for in /save
};

// The chat loop: lines until an empty one are a message; `end` forgets the conversation, `exit` and the end
// of the input quit; Ctrl-C stops an answer, or drops what was typed so far. Commands: chat_command.h.
class Repl {
 public:
  Repl(ReplBackend& backend, ReplTerminal& terminal, ReplOptions options);

  void run();

 private:
  enum class Input { message, command, clear, exit, none };
  Input read_message(std::string& message);
  void obey(const ChatCommand& command);
  bool respond(const std::string& question);  // false: no answer came
  void show_end(const ReplAnswer& answer, const AnswerClock& clock);
  void forget();
  void regenerate();
  void system(const std::string& text);
  void save(const std::string& name);

  ReplBackend& backend_;
  ReplTerminal& terminal_;
  const ReplOptions options_;
  Conversation conversation_;
  std::optional<std::string> unanswered_;  // the last question, where no answer came; not in the conversation
  std::set<std::filesystem::path> saved_;
  bool input_ended_ = false;
};

}  // namespace lmdeploy::cli
