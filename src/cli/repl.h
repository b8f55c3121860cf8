#pragma once
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

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
  virtual Read read_line(std::string& line) = 0;  // without its line end
  virtual void prompt() = 0;
  virtual void write(std::string_view text) = 0;   // of the answer
  virtual void note(const std::string& text) = 0;  // from the program to the user
  virtual bool take_interrupt() = 0;               // Ctrl-C since the last call
};

// The chat loop: lines until an empty one are a message; `end` forgets the conversation, `exit` and the end
// of the input quit; Ctrl-C stops an answer, or drops what was typed so far.
class Repl {
 public:
  // system_message: empty for none.
  Repl(ReplBackend& backend, ReplTerminal& terminal, std::string system_message);

  void run();

 private:
  enum class Input { message, clear, exit, none };
  Input read_message(std::string& message);
  void respond(const std::string& message);
  void forget();

  ReplBackend& backend_;
  ReplTerminal& terminal_;
  std::string system_message_;
  nlohmann::ordered_json messages_;
  bool input_ended_ = false;
};

}  // namespace lmdeploy::cli
