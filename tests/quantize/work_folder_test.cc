#include "quantize/work_folder.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "support/temp_folder.h"

namespace lmdeploy::testing {
namespace {

namespace fs = std::filesystem;

class WorkFolderTest : public ::testing::Test {
 protected:
  std::string problem(const fs::path& folder, const nlohmann::ordered_json& request, bool resume) {
    try {
      const WorkFolder work(folder, request, resume);
    } catch (const Error& error) {
      return error.what();
    }
    return {};
  }
  static QuantizedBlock block(float value) {
    QuantizedBlock result;
    Tensor tensor(host_allocator(), DType::f32, {1});
    *tensor.view().as<float>() = value;
    result.tensors.push_back({"a.scales", std::move(tensor)});
    result.report.linears.push_back({"a", value, 0.25, 3, 4});
    return result;
  }

  const TempFolder root_;
};

TEST_F(WorkFolderTest, AFolderInUseIsRefused) {
  root_.write("used/file", "x");
  EXPECT_NE(problem(root_ / "used", {}, false).find("is not empty"), std::string::npos);
  EXPECT_FALSE(fs::exists(root_ / "used.partial"));
  fs::create_directory(root_ / "empty");
  EXPECT_EQ(problem(root_ / "empty", {}, false), "");
  root_.write("file", "x");
  EXPECT_NE(problem(root_ / "file" / "below", {}, false).find("cannot create"), std::string::npos);
}

TEST_F(WorkFolderTest, AnUnfinishedRunGoesOnOnlyWhenAsked) {
  EXPECT_NE(problem(root_ / "a", {}, true).find("there is no unfinished run"), std::string::npos);
  EXPECT_EQ(problem(root_ / "a", {{"bits", 4}}, false), "");
  EXPECT_NE(problem(root_ / "a", {{"bits", 4}}, false).find("--resume"), std::string::npos);
  EXPECT_EQ(problem(root_ / "a/", {{"bits", 4}}, true), "");
  EXPECT_NE(problem(root_ / "a", {{"bits", 8}}, true).find("bits was 4 and is 8"), std::string::npos);
}

TEST_F(WorkFolderTest, FinishedLayersAreKept) {
  {
    WorkFolder work(root_ / "a", {{"for", "test"}}, false);
    work.finish_layer(block(1));
    root_.write("a.partial/layer-00001/model.safetensors", "half of it");
    root_.write("a.partial/full-00002.bf16.tmp-77", "half of it");
  }
  WorkFolder work(root_ / "a", {{"for", "test"}}, true);
  EXPECT_EQ(work.num_finished_layers(), 1);
  EXPECT_FALSE(fs::exists(root_ / "a.partial/full-00002.bf16.tmp-77"));
  work.finish_layer(block(2));
  const std::vector<LayerReport> reports = work.reports();
  ASSERT_EQ(reports.size(), 2U);
  const LinearReport& linear = reports[1].linears.at(0);
  EXPECT_EQ(linear.name, "a");
  EXPECT_EQ(linear.relative_error, 2);
  EXPECT_EQ(linear.clipped, 0.25);
  EXPECT_EQ(linear.zero_inputs, 3);
  EXPECT_EQ(linear.not_finite, 4);
  EXPECT_EQ(*Checkpoint(work.layer_folder(1)).get("a.scales").as<float>(), 2);
}

TEST_F(WorkFolderTest, OnlyTheResultRemains) {
  WorkFolder work(root_ / "a", {{"for", "test"}}, false);
  work.finish_layer(block(1));
  const fs::path result = work.make_result_folder();
  write_text_file(result / "config.json", "{}");
  EXPECT_FALSE(fs::exists(root_ / "a"));
  work.publish();
  EXPECT_EQ(root_.names(), (std::vector<std::string>{"a"}));
  EXPECT_TRUE(fs::exists(root_ / "a" / "config.json"));
}

}  // namespace
}  // namespace lmdeploy::testing
