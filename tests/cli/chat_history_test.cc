#include "cli/chat_history.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>

#include "support/temp_folder.h"

namespace lmdeploy::cli {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class ChatHistoryTest : public ::testing::Test {
 protected:
  lmdeploy::testing::TempFolder folder_;
  fs::path file_ = folder_.path() / "state" / "lmdeploy" / "history";
  ChatHistory history_{file_};
};

TEST_F(ChatHistoryTest, KeepsMessagesOfAnyText) {
  history_.add("one\nmore \xc3\xa9 \"'\\");
  history_.add("two");
  history_.add("two");
  EXPECT_THAT(ChatHistory(file_).load(), ElementsAre("one\nmore \xc3\xa9 \"'\\", "two"));
}

TEST_F(ChatHistoryTest, ChatsSideBySideKeepWhatEachAdds) {
  const ChatHistory other(file_);
  history_.add("one");
  other.add("two");
  history_.add("three");
  EXPECT_THAT(other.load(), ElementsAre("one", "two", "three"));
}

TEST_F(ChatHistoryTest, IsItsOwnersAlone) {
  fs::create_directories(file_.parent_path());
  std::ofstream(file_) << "\"old\"\n";
  fs::permissions(file_, fs::perms(0644));
  history_.add("one");
  EXPECT_EQ(fs::status(file_).permissions(), fs::perms(0600));
  EXPECT_THAT(history_.load(), ElementsAre("old", "one"));
  const auto entries = fs::directory_iterator(file_.parent_path());
  EXPECT_EQ(std::distance(begin(entries), end(entries)), 1) << "no temporary file is left";
}

TEST_F(ChatHistoryTest, IsBounded) {
  fs::create_directories(file_.parent_path());
  {
    std::ofstream file(file_);
    for (std::size_t i = 0; i < ChatHistory::kMaxMessages; ++i) file << '"' << i << "\"\n";
  }
  history_.add("last");
  const std::vector<std::string> messages = history_.load();
  EXPECT_EQ(messages.size(), ChatHistory::kMaxMessages);
  EXPECT_EQ(messages.front(), "1");
  EXPECT_EQ(messages.back(), "last");
}

TEST_F(ChatHistoryTest, IsBoundedInBytes) {
  history_.add(std::string(ChatHistory::kMaxMessageBytes + 1, 'x'));
  EXPECT_THAT(history_.load(), IsEmpty());
  for (char c = 'a'; c < 'a' + 20; ++c) history_.add(std::string(ChatHistory::kMaxMessageBytes, c));
  EXPECT_LE(fs::file_size(file_), ChatHistory::kMaxFileBytes);
  EXPECT_EQ(history_.load().size(), 15U);
  EXPECT_EQ(history_.load().back().front(), 't');
}

TEST_F(ChatHistoryTest, DamagedLinesAreLeftOut) {
  fs::create_directories(file_.parent_path());
  std::ofstream(file_) << "\"one\"\n\"half\nnull\n\n{\"a\":1}\n\"two\"";
  EXPECT_THAT(history_.load(), ElementsAre("one", "two"));
  std::ofstream(file_) << std::string(ChatHistory::kMaxFileBytes + 1, '\n');
  EXPECT_THAT(history_.load(), IsEmpty());
}

TEST_F(ChatHistoryTest, WhatIsNoFileStaysAsItIs) {
  fs::create_directories(file_.parent_path());
  fs::create_symlink("/dev/null", file_);
  history_.add("one");
  EXPECT_TRUE(fs::is_symlink(file_));
  EXPECT_THAT(history_.load(), IsEmpty());
  fs::remove(file_);
  ASSERT_EQ(mkfifo(file_.c_str(), 0600), 0);
  history_.add("one");
  EXPECT_THAT(history_.load(), IsEmpty());
  EXPECT_TRUE(fs::is_fifo(file_));
}

TEST_F(ChatHistoryTest, WithoutAPlaceForItThereIsNone) {
  const ChatHistory nowhere(std::nullopt);
  nowhere.add("one");
  EXPECT_THAT(nowhere.load(), IsEmpty());
  std::ofstream(folder_.path() / "state") << "a file where the folder should be";
  history_.add("one");
  EXPECT_THAT(history_.load(), IsEmpty());
}

}  // namespace
}  // namespace lmdeploy::cli
