#pragma once
#include <string>

#include "cli/interrupts.h"
#include "cli/repl.h"

namespace lmdeploy::cli {

// stdin and stdout of this process. Prompts are shown only where a person types, colours only where a person
// reads; the answer's control characters are made visible there, so that a model cannot steer the terminal.
class StandardTerminal : public ReplTerminal {
 public:
  StandardTerminal();

  Read read_line(std::string& line) override;
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
  std::string buffered_;  // read from stdin and not handed out
  bool input_ended_ = false;
};

// `text` with every control character but tab and line feed as \xNN.
std::string visible_controls(std::string_view text);

}  // namespace lmdeploy::cli
