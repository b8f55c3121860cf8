#include "cli/terminal.h"

#include <gtest/gtest.h>
#include <signal.h>

namespace lmdeploy::cli {
namespace {

TEST(VisibleControls, AModelCannotSteerTheTerminal) {
  EXPECT_EQ(visible_controls("a\tb\nc é 中"), "a\tb\nc é 中");
  EXPECT_EQ(visible_controls("\x1b[2J\r\x07\x7f"), "\\x1b[2J\\x0d\\x07\\x7f");
}

TEST(Interrupts, CountSignalsInsteadOfDying) {
  Interrupts interrupts;
  EXPECT_FALSE(interrupts.take());
  raise(SIGINT);
  raise(SIGINT);
  EXPECT_TRUE(interrupts.take());
  EXPECT_FALSE(interrupts.take());
}

TEST(SignalPipe, KeepsItsSignalsAndNoOthers) {
  SignalPipe pipe({SIGWINCH, SIGCONT});
  Interrupts interrupts;
  raise(SIGINT);
  EXPECT_FALSE(pipe.take());
  EXPECT_TRUE(interrupts.take());
  raise(SIGCONT);
  EXPECT_TRUE(pipe.take());
  EXPECT_FALSE(interrupts.take());
}

}  // namespace
}  // namespace lmdeploy::cli
