#pragma once
#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "quantize/compare.h"
#include "quantize/recipe.h"

namespace lmdeploy {

// What rounding has done to one linear layer.
struct LinearReport {
  std::string name;  // as in the checkpoint, without ".weight"
  // |X (W - W')^T| / |X W^T| over kept calibration inputs X, W after scaling and what makes up for
  // drift; |W - W'| / |W| without data.
  double relative_error = 0;
  double clipped = 0;            // share of the weights that lie beyond the ends of their grid
  std::int64_t zero_inputs = 0;  // channels that calibration never saw alive
  std::int64_t not_finite = 0;   // NaN and infinite inputs that it saw
};

struct LayerReport {
  std::vector<LinearReport> linears;
  double seconds = 0;
};

nlohmann::ordered_json to_json(const LayerReport& report);
LayerReport layer_report_from_json(const nlohmann::json& json);  // what to_json gave

// What the calibration samples were.
struct CalibrationReport {
  std::string text;  // a file's name; empty: no data
  std::int64_t num_samples = 0;
  std::int64_t seqlen = 0;
  double overlap = 0;
};

// What the model as a whole has lost.
struct EvaluationReport {
  std::string text;
  Comparison comparison;  // a: the 16-bit model
  double seconds = 0;     // loading both models included
};

struct QuantizationReport {
  std::string command, model;
  Recipe recipe;
  CalibrationReport calibration;
  std::vector<LayerReport> layers;
  std::int64_t bytes_before = 0, bytes_after = 0;  // of all weights
  double seconds = 0;                              // without the evaluation
  std::optional<EvaluationReport> evaluation;
  std::string no_evaluation;  // why there is none
};

nlohmann::ordered_json to_json(const QuantizationReport& report);
nlohmann::ordered_json calibration_json(const QuantizationReport& report);  // where nothing was rounded
std::string to_markdown(const QuantizationReport& report);
std::string error_plot_svg(const QuantizationReport& report);  // relative error over layers, a line per kind

// quantization_report.json, .md and .svg.
void write_report(const QuantizationReport& report, const std::filesystem::path& folder);

std::string scaling_name(Recipe::Scaling scaling);
std::string rounding_name(Recipe::Rounding rounding);

}  // namespace lmdeploy
