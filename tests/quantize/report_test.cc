#include "quantize/report.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "support/temp_folder.h"

namespace lmdeploy::testing {
namespace {

QuantizationReport example() {
  QuantizationReport report;
  report.command = "auto_awq";
  report.model = "models/one";
  report.calibration = {"text.txt", 4, 512, 0.25};
  for (int layer = 0; layer < 3; layer++)
    report.layers.push_back({{{fmt::format("model.layers.{}.mlp.up_proj", layer), 0.125 * layer, 0, 1, 0},
                              {fmt::format("model.layers.{}.mlp.down_proj", layer), 0.0625, 0.5, 0, 2}},
                             1.5});
  report.bytes_before = 2'000'000'000;
  report.bytes_after = 600'000'000;
  report.seconds = 12;
  report.no_evaluation = "--no-eval";
  return report;
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST(Report, TheJsonHoldsEveryLinear) {
  const nlohmann::ordered_json json = to_json(example());
  EXPECT_EQ(json["layers"].size(), 3U);
  EXPECT_EQ(json["layers"][2]["linears"][0]["name"], "model.layers.2.mlp.up_proj");
  EXPECT_EQ(json["layers"][2]["linears"][0]["relative_error"], 0.25);
  EXPECT_EQ(json["layers"][2]["linears"][1]["not_finite_inputs"], 2);
  EXPECT_EQ(json["error_of"], "outputs");
  EXPECT_EQ(json["evaluation"]["not_done"], "--no-eval");
}

TEST(Report, TheTextSaysWhatWasLost) {
  QuantizationReport report = example();
  EXPECT_TRUE(has(to_markdown(report), "Not measured: --no-eval."));
  EXPECT_TRUE(has(to_markdown(report), "2.000 GB before, 0.600 GB after"));
  EXPECT_TRUE(has(to_markdown(report), "25 % of the tokens are in two of them"));
  EXPECT_TRUE(has(to_markdown(report), "| model.layers.1.mlp.down_proj | 0.06250 | 50.0000 % | 0 | 2 |"));
  report.evaluation.emplace();
  report.evaluation->text = "other.txt";
  report.evaluation->comparison.a.perplexity = 20;
  report.evaluation->comparison.b.perplexity = 22;
  report.evaluation->comparison.mean_kl = 0.1234;
  report.evaluation->comparison.num_positions = 100;
  report.evaluation->comparison.num_changed = 7;
  EXPECT_TRUE(has(to_markdown(report), "22.0000 (+10.00 %)"));
  EXPECT_TRUE(has(to_markdown(report), "mean 0.1234"));
  EXPECT_TRUE(has(to_markdown(report), "7 of 100 (7.00 %)"));
  EXPECT_EQ(to_json(report)["evaluation"]["perplexity_after"], 22);
}

TEST(Report, ThePlotHasALinePerKind) {
  const std::string svg = error_plot_svg(example());
  EXPECT_TRUE(has(svg, ">up_proj</text>") && has(svg, ">down_proj</text>"));
  std::size_t num_lines = 0;
  for (std::size_t at = svg.find("<polyline"); at != std::string::npos; at = svg.find("<polyline", at + 1))
    ++num_lines;
  EXPECT_EQ(num_lines, 2U);
  EXPECT_FALSE(has(svg, "nan") || has(svg, "inf"));
  QuantizationReport empty;
  EXPECT_FALSE(has(error_plot_svg(empty), "nan"));
}

TEST(Report, ThreeFilesAreWritten) {
  const TempFolder root;
  write_report(example(), root.path());
  EXPECT_EQ(root.names(), (std::vector<std::string>{"quantization_report.json", "quantization_report.md",
                                                    "quantization_report.svg"}));
}

}  // namespace
}  // namespace lmdeploy::testing
