#include "client/hub.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <thread>

#include "base/error.h"
#include "client/stand_in_hub.h"
#include "support/temp_folder.h"

namespace lmdeploy::client {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

std::string read(const fs::path& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

class HubTest : public ::testing::Test {
 protected:
  fs::path repo() const { return cache_ / "models--org--model"; }
  fs::path blob(const std::string& path, const std::string& content) const {
    return repo() / "blobs" / StandInHub::etag_of(path, content);
  }
  fs::path download() { return download_model("org/model", hub_.options(cache_)); }

  // What the download says when it fails.
  std::string failure(const HubOptions& options) {
    try {
      download_model("org/model", options);
    } catch (const Error& error) {
      return error.what();
    }
    return "it did not fail";
  }
  std::string failure() { return failure(hub_.options(cache_)); }

  const std::string weights_ = std::string(100'000, 'w') + "end";
  StandInHub hub_;
  const lmdeploy::testing::TempFolder folder_;
  const fs::path cache_ = folder_.path();
};

TEST_F(HubTest, FillsTheCacheInTheHubsLayout) {
  const fs::path folder = download();
  EXPECT_EQ(folder, repo() / "snapshots" / StandInHub::kCommit);
  EXPECT_EQ(read(folder / "model.safetensors"), weights_);
  EXPECT_EQ(read(repo() / "refs" / "main"), StandInHub::kCommit);
  const std::string etag = StandInHub::etag_of("model.safetensors", weights_);
  EXPECT_EQ(fs::read_symlink(folder / "model.safetensors"), fs::path("../../blobs") / etag);
  EXPECT_TRUE(fs::exists(cache_ / ".locks" / "models--org--model" / (etag + ".lock")));
}

TEST_F(HubTest, ASecondRunOnlyAsksForTheListing) {
  download();
  hub_.hub.forget();
  hub_.cdn.forget();
  HubOptions options = hub_.options(cache_);
  options.on_progress = [](const HubProgress&) { ADD_FAILURE() << "nothing is left to be reported"; };
  download_model("org/model", options);
  EXPECT_EQ(hub_.hub.seen().size(), 1U);
  EXPECT_TRUE(hub_.cdn.seen().empty());
}

TEST_F(HubTest, TakesOnlyWhatRunningNeeds) {
  hub_.add_file("pytorch_model.bin", "pickle");
  hub_.add_file("onnx/model.safetensors", "x");
  hub_.add_file("README.md", "x");
  hub_.add_file("chat_template.jinja", "{{ messages }}");
  const fs::path folder = download();
  EXPECT_TRUE(fs::exists(folder / "chat_template.jinja"));
  EXPECT_FALSE(fs::exists(folder / "pytorch_model.bin"));
  EXPECT_FALSE(fs::exists(folder / "onnx"));
  EXPECT_FALSE(fs::exists(folder / "README.md"));
}

TEST_F(HubTest, TheTokenStaysWithTheHub) {
  HubOptions options = hub_.options(cache_);
  options.token = "hf_secret";
  download_model("org/model", options);
  for (const SeenRequest& request : hub_.hub.seen())
    EXPECT_EQ(request.headers.at("authorization"), "Bearer hf_secret") << request.target;
  ASSERT_FALSE(hub_.cdn.seen().empty());
  for (const SeenRequest& request : hub_.cdn.seen()) EXPECT_EQ(request.headers.count("authorization"), 0U);
}

TEST_F(HubTest, GoesOnAfterACut) {
  hub_.next_file("model.safetensors", {200, {}, weights_, 40'000, -1});
  EXPECT_EQ(read(download() / "model.safetensors"), weights_);
  const auto requests = hub_.cdn.seen();
  ASSERT_EQ(requests.size(), 2U);
  EXPECT_EQ(requests[0].headers.count("range"), 0U);
  EXPECT_EQ(requests[1].headers.at("range"), "bytes=40000-");
}

TEST_F(HubTest, GoesOnWhereAnEarlierRunEnded) {
  fs::create_directories(repo() / "blobs");
  const fs::path incomplete = blob("model.safetensors", weights_).string() + ".incomplete";
  std::ofstream(incomplete) << weights_.substr(0, 70'000);
  std::int64_t last_done = 0;
  HubOptions options = hub_.options(cache_);
  options.on_progress = [&](const HubProgress& progress) { last_done = progress.done_bytes; };
  EXPECT_EQ(read(download_model("org/model", options) / "model.safetensors"), weights_);
  EXPECT_EQ(hub_.cdn.seen().at(0).headers.at("range"), "bytes=70000-");
  EXPECT_FALSE(fs::exists(incomplete));
  EXPECT_GE(last_done, static_cast<std::int64_t>(weights_.size()));
}

TEST_F(HubTest, StartsAnewWhereRangesAreIgnored) {
  hub_.ignore_ranges();
  hub_.next_file("model.safetensors", {200, {}, weights_, 40'000, -1});
  EXPECT_EQ(read(download() / "model.safetensors"), weights_);
}

TEST_F(HubTest, RejectsALyingRange) {
  hub_.next_file("model.safetensors", {200, {}, weights_, 40'000, -1});
  hub_.next_file("model.safetensors", {206, {"Content-Range: bytes 0-100002/100003"}, weights_, -1, -1});
  EXPECT_EQ(read(download() / "model.safetensors"), weights_);
}

TEST_F(HubTest, DownloadsAgainWhenTheHashIsWrongOnce) {
  hub_.next_file("model.safetensors", {200, {}, std::string(weights_.size(), 'x'), -1, -1});
  EXPECT_EQ(read(download() / "model.safetensors"), weights_);
  EXPECT_EQ(hub_.cdn.seen().size(), 2U);
}

TEST_F(HubTest, RefusesWhatIsWrongTwice) {
  for (int i = 0; i < 2; ++i)
    hub_.next_file("model.safetensors", {200, {}, std::string(weights_.size(), 'x'), -1, -1});
  EXPECT_THAT(failure(), HasSubstr("not what the hub lists"));
  EXPECT_FALSE(fs::exists(blob("model.safetensors", weights_)));
}

TEST_F(HubTest, ChecksSmallFilesByTheirGitHash) {
  for (int i = 0; i < 2; ++i) hub_.next_file("tokenizer.json", {200, {}, R"({"version": "6.6"})", -1, -1});
  EXPECT_THAT(failure(), HasSubstr("not what the hub lists"));
}

TEST_F(HubTest, AsksForHashesThatTheListingLacks) {
  hub_.list_without_hashes();
  EXPECT_EQ(read(download() / "model.safetensors"), weights_);
  EXPECT_TRUE(fs::exists(blob("model.safetensors", weights_)));
}

TEST_F(HubTest, WaitsAndTriesAgain) {
  hub_.next_listing({429, {"Retry-After: 0"}, "", -1, -1});
  hub_.next_listing({503, {}, "", -1, -1});
  hub_.next_file("model.safetensors", {500, {}, "", -1, -1});
  hub_.next_file("model.safetensors", {502, {}, "<html>bad gateway</html>", -1, -1});
  EXPECT_EQ(read(download() / "model.safetensors"), weights_);
}

TEST_F(HubTest, GivesUpAfterMaxAttempts) {
  for (int i = 0; i < 3; ++i) hub_.next_file("model.safetensors", {503, {}, "", -1, -1});
  EXPECT_THAT(failure(), HasSubstr("status 503"));
}

TEST_F(HubTest, GivesUpWhenNoByteComes) {
  for (int i = 0; i < 3; ++i) hub_.next_file("model.safetensors", {200, {}, weights_, 0, -1});
  EXPECT_THAT(failure(), HasSubstr("cut off 3 times"));
}

TEST_F(HubTest, ExplainsRefusals) {
  hub_.next_listing({401, {"X-Error-Code: GatedRepo"}, "", -1, -1});
  EXPECT_THAT(failure(), HasSubstr("accepted its conditions"));
  hub_.next_listing({401, {}, "", -1, -1});
  EXPECT_THAT(failure(), HasSubstr("HF_TOKEN"));
  hub_.next_listing({404, {"X-Error-Code: RevisionNotFound"}, "", -1, -1});
  EXPECT_THAT(failure(), HasSubstr("no revision 'main'"));
  hub_.next_listing({404, {"X-Error-Code: RepoNotFound"}, "", -1, -1});
  EXPECT_THAT(failure(), HasSubstr("no model org/model"));
  hub_.next_listing({200, {}, "<html>log in to this Wi-Fi</html>", -1, -1});
  EXPECT_THAT(failure(), HasSubstr("listing"));
}

TEST_F(HubTest, RefusesPathsThatLeaveTheFolder) {
  hub_.add_file("../../../evil.json", "x");
  EXPECT_THAT(failure(), HasSubstr("leaves the folder"));
}

TEST_F(HubTest, RefusesPickledWeights) {
  hub_.remove_file("model.safetensors");
  hub_.add_file("pytorch_model.bin", "pickle");
  EXPECT_THAT(failure(), HasSubstr("safe_serialization=True"));
}

TEST_F(HubTest, OfflineUsesTheCacheAlone) {
  HubOptions offline = hub_.options(cache_);
  offline.offline = true;
  EXPECT_THAT(failure(offline), HasSubstr("HF_HUB_OFFLINE"));
  const fs::path folder = download();
  hub_.hub.forget();
  EXPECT_EQ(download_model("org/model", offline), folder);
  EXPECT_TRUE(hub_.hub.seen().empty());
  fs::remove(blob("model.safetensors", weights_));
  EXPECT_THAT(failure(offline), HasSubstr("HF_HUB_OFFLINE"));
}

TEST_F(HubTest, AnUnreachableHubIsNoHarmOnceTheCacheIsComplete) {
  HubOptions unreachable = hub_.options(cache_);
  unreachable.endpoint = "http://127.0.0.1:1";
  EXPECT_THAT(failure(unreachable), HasSubstr("cannot be reached"));
  const fs::path folder = download();
  EXPECT_EQ(download_model("org/model", unreachable), folder);
}

TEST_F(HubTest, TwoAtOnceDownloadEachFileOnce) {
  {
    std::jthread other([&] { download(); });
    download();
  }
  EXPECT_EQ(hub_.requests_for("config.json").size(), 1U);
  EXPECT_EQ(hub_.cdn.seen().size(), 1U);
}

}  // namespace
}  // namespace lmdeploy::client
