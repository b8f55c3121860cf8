#include "cli/conversation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "base/error.h"
#include "support/temp_folder.h"

namespace lmdeploy::cli {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using Json = nlohmann::ordered_json;

std::string contents(const fs::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string failure(const Json& messages, const fs::path& file) {
  try {
    save_messages(messages, file);
  } catch (const Error& error) {
    return error.what();
  }
  return "it did not fail";
}

Conversation two_turns() {
  Conversation conversation("be brief");
  conversation.add({"a?", "b \xc3\xa9"});
  conversation.add({"c\nd?", "```\ne\n```"});
  return conversation;
}

TEST(Conversation, TakesTurnsBackInOrder) {
  Conversation conversation = two_turns();
  EXPECT_EQ(conversation.take_last().value().question, "c\nd?");
  EXPECT_EQ(conversation.take_last().value().answer, "b \xc3\xa9");
  EXPECT_FALSE(conversation.take_last());
  EXPECT_EQ(conversation.messages().size(), 1U) << "the system message";
}

TEST(SaveMessages, AsJson) {
  const lmdeploy::testing::TempFolder folder;
  const Json messages = two_turns().messages();
  save_messages(messages, folder.path() / "a.json");
  EXPECT_EQ(Json::parse(contents(folder.path() / "a.json")), (Json{{"messages", messages}}));
}

TEST(SaveMessages, AsMarkdown) {
  const lmdeploy::testing::TempFolder folder;
  save_messages(two_turns().messages(), folder.path() / "a.md");
  EXPECT_EQ(contents(folder.path() / "a.md"),
            "## System\n\nbe brief\n\n## User\n\na?\n\n## Assistant\n\nb \xc3\xa9\n\n## User\n\nc\nd?\n\n"
            "## Assistant\n\n```\ne\n```\n");
}

TEST(SaveMessages, BytesThatAreNoTextDoNotStopIt) {
  const lmdeploy::testing::TempFolder folder;
  Conversation conversation("");
  conversation.add({"a?", "half \xc3"});
  save_messages(conversation.messages(), folder.path() / "a.json");
  EXPECT_THAT(contents(folder.path() / "a.json"), HasSubstr("half \xef\xbf\xbd"));
}

TEST(SaveMessages, SaysWhyNotAndLeavesNothing) {
  const lmdeploy::testing::TempFolder folder;
  const Json messages = two_turns().messages();
  EXPECT_THAT(failure(messages, folder.path() / "chat"), HasSubstr("FILE.md"));
  EXPECT_THAT(failure(messages, folder.path() / "chat.txt"), HasSubstr("FILE.json"));
  EXPECT_THAT(failure(messages, folder.path() / "missing" / "chat.md"), HasSubstr("missing"));
  EXPECT_TRUE(fs::is_empty(folder.path()));
}

}  // namespace
}  // namespace lmdeploy::cli
