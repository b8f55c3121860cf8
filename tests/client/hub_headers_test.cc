#include "client/hub_headers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "base/error.h"
#include "client/stand_in_hub.h"
#include "support/temp_folder.h"

namespace lmdeploy::client {
namespace {

using ::testing::HasSubstr;

// A file that begins as a safetensors file with a header of `header_len` bytes does.
std::string weights(std::uint64_t header_len, std::size_t data_len) {
  std::string file(sizeof header_len, '\0');
  std::memcpy(file.data(), &header_len, sizeof header_len);
  return file + std::string(header_len, 'h') + std::string(data_len, 'd');
}

class HubHeadersTest : public ::testing::Test {
 protected:
  HubHeadersTest() {
    hub_.add_file("config.json", R"({"a": 1})");
    hub_.add_file("tokenizer.json", std::string(5000, 't'));
  }
  HubFileStart start_of(const std::string& path) {
    for (HubFileStart& file : fetch_model_headers("org/model", hub_.options(cache_.path())))
      if (file.path == path) return file;
    return {};
  }
  std::string failure() {
    try {
      fetch_model_headers("org/model", hub_.options(cache_.path()));
    } catch (const Error& error) {
      return error.what();
    }
    return "it did not fail";
  }

  StandInHub hub_;
  const lmdeploy::testing::TempFolder cache_;
};

TEST_F(HubHeadersTest, WholeConfigurationsHeadersOfWeightsAndSizesOfTheRest) {
  hub_.add_file("model.safetensors", weights(300, 100'000));
  EXPECT_EQ(start_of("config.json").begin, R"({"a": 1})");
  EXPECT_EQ(start_of("model.safetensors").begin, weights(300, 0));
  EXPECT_EQ(start_of("model.safetensors").size, 100'308);
  EXPECT_EQ(start_of("tokenizer.json").begin, "");
  EXPECT_EQ(start_of("tokenizer.json").size, 5000);
  EXPECT_TRUE(hub_.requests_for("tokenizer.json").empty());
}

TEST_F(HubHeadersTest, ALongHeaderIsAskedForAgain) {
  hub_.add_file("model.safetensors", weights(200'000, 10));
  EXPECT_EQ(start_of("model.safetensors").begin, weights(200'000, 0));
}

TEST_F(HubHeadersTest, AHubThatIgnoresRangesIsCutOff) {
  hub_.ignore_ranges();
  hub_.add_file("model.safetensors", weights(300, 1'000'000));
  EXPECT_EQ(start_of("model.safetensors").begin, weights(300, 0));
}

TEST_F(HubHeadersTest, ACutConnectionIsTriedAgain) {
  hub_.add_file("model.safetensors", weights(3000, 1000));
  hub_.cdn.forget();
  hub_.next_file("model.safetensors", {206, {}, weights(3000, 1000), 100, -1});
  EXPECT_EQ(start_of("model.safetensors").begin, weights(3000, 0));
}

TEST_F(HubHeadersTest, WhatIsNoSafetensorsFileIsSaid) {
  hub_.add_file("model.safetensors", std::string(100, 'x'));
  EXPECT_THAT(failure(), HasSubstr("model.safetensors"));
  EXPECT_THAT(failure(), HasSubstr("does not begin"));
}

TEST_F(HubHeadersTest, RefusalsAreThoseOfADownload) {
  hub_.add_file("model.safetensors", weights(300, 10));
  HubOptions offline = hub_.options(cache_.path());
  offline.offline = true;
  EXPECT_THROW(fetch_model_headers("org/model", offline), Error);
  EXPECT_THROW(fetch_model_headers("org/other", hub_.options(cache_.path())), Error);
  EXPECT_TRUE(find_downloaded("org/model", offline).empty());
}

}  // namespace
}  // namespace lmdeploy::client
