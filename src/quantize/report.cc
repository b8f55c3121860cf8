#include "quantize/report.h"

#include <nlohmann/json.hpp>

#include "checkpoint/output_file.h"

namespace lmdeploy {
namespace {

using nlohmann::ordered_json;

ordered_json evaluation_json(const QuantizationReport& report) {
  if (!report.evaluation) return {{"not_done", report.no_evaluation}};
  const EvaluationReport& evaluation = *report.evaluation;
  const Comparison& found = evaluation.comparison;
  return {{"text", evaluation.text},
          {"perplexity_before", found.a.perplexity},
          {"perplexity_after", found.b.perplexity},
          {"scored_tokens", found.a.tokens},
          {"kl", {{"mean", found.mean_kl}, {"p99", found.p99_kl}, {"max", found.max_kl}}},
          {"positions", found.num_positions},
          {"changed_tokens", found.num_changed},
          {"seconds", evaluation.seconds}};
}

ordered_json recipe_json(const Recipe& recipe) {
  return {{"scaling", scaling_name(recipe.scaling)},
          {"rounding", rounding_name(recipe.rounding)},
          {"bits", recipe.bits},
          {"group_size", recipe.group_size},
          {"symmetric", recipe.symmetric}};
}

ordered_json calibration_json(const CalibrationReport& calibration) {
  return {{"text", calibration.text},
          {"samples", calibration.num_samples},
          {"seqlen", calibration.seqlen},
          {"overlap", calibration.overlap}};
}

}  // namespace

std::string scaling_name(Recipe::Scaling scaling) {
  switch (scaling) {
    case Recipe::Scaling::none:
      return "none";
    case Recipe::Scaling::rule:
      return "LMDeploy's rule";
    case Recipe::Scaling::search:
      return "AWQ's search";
    case Recipe::Scaling::smooth:
      return "SmoothQuant";
  }
  return {};
}

std::string rounding_name(Recipe::Rounding rounding) {
  switch (rounding) {
    case Recipe::Rounding::nothing:
      return "none";
    case Recipe::Rounding::nearest:
      return "to nearest";
    case Recipe::Rounding::gptq:
      return "GPTQ";
  }
  return {};
}

ordered_json to_json(const LayerReport& report) {
  ordered_json linears = ordered_json::array();
  for (const LinearReport& linear : report.linears)
    linears.push_back({{"name", linear.name},
                       {"relative_error", linear.relative_error},
                       {"clipped", linear.clipped},
                       {"zero_inputs", linear.zero_inputs},
                       {"not_finite_inputs", linear.not_finite}});
  return {{"linears", linears}, {"seconds", report.seconds}};
}

LayerReport layer_report_from_json(const nlohmann::json& json) {
  LayerReport report;
  report.seconds = json.at("seconds").get<double>();
  for (const nlohmann::json& linear : json.at("linears"))
    report.linears.push_back({linear.at("name").get<std::string>(), linear.at("relative_error").get<double>(),
                              linear.at("clipped").get<double>(),
                              linear.at("zero_inputs").get<std::int64_t>(),
                              linear.at("not_finite_inputs").get<std::int64_t>()});
  return report;
}

ordered_json to_json(const QuantizationReport& report) {
  ordered_json layers = ordered_json::array();
  for (const LayerReport& layer : report.layers) layers.push_back(to_json(layer));
  return {{"command", report.command},
          {"model", report.model},
          {"recipe", recipe_json(report.recipe)},
          {"calibration", calibration_json(report.calibration)},
          {"bytes_before", report.bytes_before},
          {"bytes_after", report.bytes_after},
          {"seconds", report.seconds},
          {"error_of", report.calibration.num_samples > 0 ? "outputs" : "weights"},
          {"evaluation", evaluation_json(report)},
          {"layers", layers}};
}

ordered_json calibration_json(const QuantizationReport& report) {
  ordered_json layers = ordered_json::array();
  for (const LayerReport& layer : report.layers) {
    ordered_json linears = ordered_json::array();
    for (const LinearReport& linear : layer.linears)
      linears.push_back({{"name", linear.name},
                         {"zero_inputs", linear.zero_inputs},
                         {"not_finite_inputs", linear.not_finite}});
    layers.push_back({{"linears", linears}});
  }
  return {{"model", report.model},
          {"calibration", calibration_json(report.calibration)},
          {"seconds", report.seconds},
          {"layers", layers}};
}

void write_report(const QuantizationReport& report, const std::filesystem::path& folder) {
  write_text_file(folder / "quantization_report.json", to_json(report).dump(2) + "\n");
  write_text_file(folder / "quantization_report.md", to_markdown(report));
  write_text_file(folder / "quantization_report.svg", error_plot_svg(report));
}

}  // namespace lmdeploy
