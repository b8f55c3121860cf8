#pragma once
#include <memory>
#include <string>

#include "cli/chat_history.h"
#include "cli/interrupts.h"
#include "cli/line_editor.h"
#include "cli/repl.h"

namespace lmdeploy::cli {

// stdin and stdout of this process. Prompts are shown only where a person types, colours only where a person
// reads; the answer's control characters are made visible there, so that a model cannot steer the terminal.
// Where a person types at a terminal, lines can be edited.
class StandardTerminal : public ReplTerminal {
 public:
  explicit StandardTerminal(ChatHistory history);

  Read read_line(std::string& line) override;
  void remember(const std::string& message) override;
  void prompt() override;
  void write(std::string_view text) override;
  void note(const std::string& text) override;
  bool take_interrupt() override { return interrupts_.take(); }

 private:
  enum class Fill { more, interrupted, end };
  Fill fill();
  bool take_line(std::string& line);

  Interrupts interrupts_;
  bool input_is_terminal_;
  bool output_is_terminal_;
  std::unique_ptr<LineEditor> editor_;  // empty: lines come as they are
  std::string prompt_;                  // to be shown by the editor with the next line
  std::string buffered_;                // read from stdin and not handed out
  bool input_ended_ = false;
};

// `text` with every control character but tab and line feed as \xNN.
std::string visible_controls(std::string_view text);

}  // namespace lmdeploy::cli
