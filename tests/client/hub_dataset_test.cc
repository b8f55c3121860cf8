#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "base/error.h"
#include "client/hub.h"
#include "client/stand_in_hub.h"
#include "support/temp_folder.h"

namespace lmdeploy::client {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

std::string read(const fs::path& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

// A file of a data set's repository, in the branch that the hub makes.
class HubDatasetTest : public ::testing::Test {
 protected:
  HubDatasetTest() {
    hub_.add_file(kPath, content_);
    hub_.add_file("train/0001.parquet", "another");
    hub_.add_file("en/lines.json.gz", content_);
  }

  fs::path repo() const { return cache_ / "datasets--org--texts"; }
  fs::path download() { return download_one_file(repo_, kPath, hub_.options(cache_)); }
  std::string begin(std::int64_t count) {
    return download_first_bytes(repo_, "en/lines.json.gz", count, hub_.options(cache_));
  }

  template <class Work>
  static std::string failure(const Work& work) {
    try {
      work();
    } catch (const Error& error) {
      return error.problem() + " " + error.remedy();
    }
    return "it did not fail";
  }

  static constexpr const char* kPath = "train/0000.parquet";
  const std::string content_ = std::string(100'000, 'p') + "end";
  const HubRepo repo_{"org/texts", HubRepo::Kind::dataset};
  StandInHub hub_{repo_, "refs/convert/parquet"};
  const lmdeploy::testing::TempFolder folder_;
  const fs::path cache_ = folder_.path();
};

TEST_F(HubDatasetTest, OneFileComesIntoTheHubsLayout) {
  const fs::path file = download();
  EXPECT_EQ(file, repo() / "snapshots" / StandInHub::kCommit / kPath);
  EXPECT_EQ(read(file), content_);
  EXPECT_EQ(read(repo() / "refs/refs/convert/parquet"), StandInHub::kCommit);
  EXPECT_EQ(fs::read_symlink(file), fs::path("../../../blobs") / StandInHub::etag_of(kPath, content_));
  EXPECT_TRUE(hub_.requests_for("train/0001.parquet").empty());
}

TEST_F(HubDatasetTest, GoesOnAfterACutAndChecksTheHash) {
  hub_.next_file(kPath, {200, {}, content_, 40'000, -1});
  EXPECT_EQ(read(download()), content_);
  EXPECT_EQ(hub_.cdn.seen().at(1).headers.at("range"), "bytes=40000-");
  fs::remove_all(repo());
  for (int i = 0; i < 2; ++i) hub_.next_file(kPath, {200, {}, std::string(content_.size(), 'x'), -1, -1});
  EXPECT_THAT(failure([&] { download(); }), HasSubstr("not what the hub lists"));
}

TEST_F(HubDatasetTest, TheCacheAnswersOfflineAndWithoutTheHub) {
  HubOptions offline = hub_.options(cache_);
  offline.offline = true;
  const auto again = [&](const HubOptions& options) { return download_one_file(repo_, kPath, options); };
  EXPECT_THAT(failure([&] { again(offline); }), AllOf(HasSubstr("HF_HUB_OFFLINE"), Not(HasSubstr("MODEL"))));
  const fs::path file = download();
  hub_.hub.forget();
  EXPECT_EQ(again(offline), file);
  EXPECT_TRUE(hub_.hub.seen().empty());
  HubOptions unreachable = hub_.options(cache_);
  unreachable.endpoint = "http://127.0.0.1:1";
  EXPECT_EQ(again(unreachable), file);
  fs::remove_all(repo());
  EXPECT_THAT(failure([&] { again(unreachable); }),
              AllOf(HasSubstr("cannot be reached"), Not(HasSubstr("MODEL"))));
}

TEST_F(HubDatasetTest, SaysWhatIsMissing) {
  hub_.remove_file(kPath);
  EXPECT_THAT(failure([&] { download(); }), HasSubstr("org/texts has no file train/0000.parquet"));
  const HubRepo other{"org/other", HubRepo::Kind::dataset};
  EXPECT_THAT(failure([&] { download_one_file(other, kPath, hub_.options(cache_)); }),
              HasSubstr("lacks a file that it lists"));
  hub_.next_listing({401, {"X-Error-Code: RepoNotFound"}, "", -1, -1});
  EXPECT_THAT(failure([&] { download(); }), HasSubstr("no data set org/texts"));
}

TEST_F(HubDatasetTest, TheFirstBytesTakeOneRequestAndNoListing) {
  std::int64_t last_done = 0;
  HubOptions options = hub_.options(cache_);
  options.token = "hf_secret";
  options.on_progress = [&](const HubProgress& progress) { last_done = progress.done_bytes; };
  EXPECT_EQ(download_first_bytes(repo_, "en/lines.json.gz", 5000, options), content_.substr(0, 5000));
  EXPECT_EQ(last_done, 5000);
  ASSERT_EQ(hub_.hub.seen().size(), 1U);
  EXPECT_THAT(hub_.hub.seen()[0].target,
              HasSubstr("/datasets/org/texts/resolve/refs%2Fconvert%2Fparquet/en/"));
  EXPECT_EQ(hub_.hub.seen()[0].headers.at("authorization"), "Bearer hf_secret");
  ASSERT_EQ(hub_.cdn.seen().size(), 1U);
  EXPECT_EQ(hub_.cdn.seen()[0].headers.at("range"), "bytes=0-4999");
  EXPECT_EQ(hub_.cdn.seen()[0].headers.count("authorization"), 0U);
  EXPECT_FALSE(fs::exists(repo()));
}

TEST_F(HubDatasetTest, TheFirstBytesOfAShortFileAreAllOfIt) {
  EXPECT_EQ(begin(1 << 20), content_);
  hub_.ignore_ranges();
  EXPECT_EQ(begin(1 << 20), content_);
  EXPECT_EQ(begin(3000), content_.substr(0, 3000));
}

TEST_F(HubDatasetTest, TheFirstBytesAreAskedForAgainAfterACut) {
  hub_.next_file("en/lines.json.gz", {503, {}, "", -1, -1});
  hub_.next_file("en/lines.json.gz", {206, {}, content_, 100, -1});
  EXPECT_EQ(begin(5000), content_.substr(0, 5000));
  for (int i = 0; i < 3; ++i) hub_.next_file("en/lines.json.gz", {503, {}, "", -1, -1});
  EXPECT_THAT(failure([&] { begin(5000); }), HasSubstr("status 503"));
}

TEST_F(HubDatasetTest, TheFirstBytesOfAFileInTheCacheTakeNoRequest) {
  HubOptions offline = hub_.options(cache_);
  offline.offline = true;
  EXPECT_THAT(failure([&] { download_first_bytes(repo_, kPath, 10, offline); }), HasSubstr("HF_HUB_OFFLINE"));
  download();
  hub_.hub.forget();
  EXPECT_EQ(download_first_bytes(repo_, kPath, 10, offline), content_.substr(0, 10));
  EXPECT_EQ(download_first_bytes(repo_, kPath, 1 << 20, offline), content_);
  EXPECT_TRUE(hub_.hub.seen().empty());
}

}  // namespace
}  // namespace lmdeploy::client
