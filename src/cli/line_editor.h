#pragma once
#include <memory>
#include <string>

#include "cli/chat_history.h"
#include "cli/interrupts.h"
#include "cli/repl.h"

namespace lmdeploy::cli {

// Lines typed in a terminal: edited with libedit's keys (those of ~/.editrc first), earlier ones under the
// arrows. Text that the terminal marks as pasted (bracketed paste) is one line whatever line feeds it holds.
class LineEditor {
 public:
  // Empty where stdin and stdout are no terminal that lines can be edited on.
  static std::unique_ptr<LineEditor> make(Interrupts& interrupts, ChatHistory history);
  ~LineEditor();

  // The prompt is shown bold. On interrupted and end the cursor is at the beginning of a line.
  ReplTerminal::Read read_line(const std::string& prompt, std::string& line);
  void remember(const std::string& message);

 private:
  struct State;
  explicit LineEditor(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace lmdeploy::cli
