#include "cli/calibration_dataset.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "base/error.h"
#include "client/stand_in_hub.h"
#include "support/temp_folder.h"

namespace lmdeploy::cli {
namespace {

namespace fs = std::filesystem;
using client::HubRepo;
using client::StandInHub;
using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string read(const fs::path& path) {
  std::ostringstream bytes;
  bytes << std::ifstream(path, std::ios::binary).rdbuf();
  return bytes.str();
}

std::string golden(const std::string& name) {
  return read(fs::path(LMDEPLOY_SOURCE_DIR "/tests/golden/dataset") / name);
}

class CalibrationDataset : public ::testing::Test {
 protected:
  CalibrationDataset() {
    setenv("HF_HOME", (folder_ / "hf").c_str(), 1);
    setenv("LMDEPLOY_CACHE", (folder_ / "cache").c_str(), 1);
  }
  ~CalibrationDataset() override {
    for (const char* name : {"HF_HOME", "LMDEPLOY_CACHE", "HF_ENDPOINT", "HF_HUB_OFFLINE"}) unsetenv(name);
  }

  fs::path fetch(const StandInHub& hub, const std::string& name) {
    setenv("HF_ENDPOINT", hub.hub.url().c_str(), 1);
    return calibration_dataset_file(name, {});
  }
  std::string failure(const StandInHub& hub, const std::string& name) {
    try {
      fetch(hub, name);
    } catch (const Error& error) {
      return error.problem() + " " + error.remedy();
    }
    return "it did not fail";
  }

  const lmdeploy::testing::TempFolder folder_;
};

TEST_F(CalibrationDataset, C4NeedsOnlyTheBeginningOfItsFile) {
  StandInHub hub({"allenai/c4", HubRepo::Kind::dataset});
  hub.add_file("en/c4-train.00000-of-01024.json.gz", golden("lines.json.gz"));
  const fs::path file = fetch(hub, "c4");
  EXPECT_THAT(read(file), AllOf(HasSubstr("\n\nThe lighthouse at Gull Point"), EndsWith("a\nb")));
  EXPECT_EQ(file.parent_path(), folder_.path() / "cache" / "datasets");
  EXPECT_THAT(file.filename().string(), AllOf(StartsWith("c4-"), EndsWith(".txt")));
  EXPECT_EQ(hub.cdn.seen().at(0).headers.at("range"), "bytes=0-8388607");
}

TEST_F(CalibrationDataset, ASecondTimeNobodyIsAsked) {
  StandInHub hub({"Salesforce/wikitext", HubRepo::Kind::dataset});
  hub.add_file("wikitext-2-raw-v1/train-00000-of-00001.parquet", golden("wikitext.parquet"));
  setenv("HF_HUB_OFFLINE", "1", 1);
  EXPECT_THAT(failure(hub, "wikitext2"), HasSubstr("HF_HUB_OFFLINE"));
  unsetenv("HF_HUB_OFFLINE");
  const fs::path file = fetch(hub, "wikitext2");
  hub.hub.forget();
  setenv("HF_HUB_OFFLINE", "1", 1);
  EXPECT_EQ(fetch(hub, "wikitext2"), file);
  EXPECT_TRUE(hub.hub.seen().empty());
}

TEST_F(CalibrationDataset, AFailureNamesTheFileAndWhatToGiveInstead) {
  const StandInHub hub({"mit-han-lab/pile-val-backup", HubRepo::Kind::dataset});
  EXPECT_THAT(failure(hub, "pileval"),
              AllOf(HasSubstr("--calib-dataset pileval"), HasSubstr("val.jsonl.zst"),
                    HasSubstr("mit-han-lab/pile-val-backup"), HasSubstr("--calib-dataset FILE.txt"),
                    HasSubstr("--calib-samples 0")));
  EXPECT_FALSE(fs::exists(folder_ / "cache"));
}

TEST_F(CalibrationDataset, OtherNamesAreNone) {
  EXPECT_TRUE(calibration_dataset_file("pbt", {}).empty());
  EXPECT_EQ(calibration_dataset_names(), "ptb, wikitext2, c4, pileval");
}

}  // namespace
}  // namespace lmdeploy::cli
