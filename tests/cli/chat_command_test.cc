#include "cli/chat_command.h"

#include <gtest/gtest.h>

namespace lmdeploy::cli {
namespace {

using Name = ChatCommand::Name;

void expect_command(const char* text, Name name, const char* argument) {
  const std::optional<ChatCommand> command = parse_chat_command(text);
  ASSERT_TRUE(command) << text;
  EXPECT_EQ(command->name, name) << text;
  EXPECT_EQ(command->argument, argument) << text;
}

TEST(ChatCommand, HasAnArgumentWithoutTheBlanksAroundIt) {
  expect_command("/help", Name::help, "");
  expect_command("/regen ", Name::regen, "");
  expect_command("/system  be  brief \t", Name::system, "be  brief");
  expect_command("/save a file.md", Name::save, "a file.md");
}

TEST(ChatCommand, OnlySystemTakesLines) {
  expect_command("/system be\nbrief", Name::system, "be\nbrief");
  expect_command("/system\nbe brief", Name::system, "be brief");
  EXPECT_FALSE(parse_chat_command("/save a\nb"));
  EXPECT_FALSE(parse_chat_command("/usr/lib:\nlibc"));
}

TEST(ChatCommand, WhatIsNotKnownIsNoMessage) {
  expect_command("/", Name::unknown, "/");
  expect_command("/systemd status", Name::unknown, "/systemd");
  expect_command("/HELP", Name::unknown, "/HELP");
}

TEST(ChatCommand, MessagesDoNotBeginWithASlash) {
  EXPECT_FALSE(parse_chat_command(""));
  EXPECT_FALSE(parse_chat_command(" /help"));
  EXPECT_FALSE(parse_chat_command("a /help"));
}

}  // namespace
}  // namespace lmdeploy::cli
