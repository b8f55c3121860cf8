#include <algorithm>
#include <map>

#include "base/error.h"
#include "quantize/report.h"

namespace lmdeploy {
namespace {

std::string gigabytes(std::int64_t bytes) {
  return fmt::format("{:.3f} GB", static_cast<double>(bytes) / 1e9);
}

double percent(double share) {
  return 100 * share;
}

std::string recipe_text(const Recipe& recipe) {
  const std::string groups =
      recipe.group_size == -1 ? "whole rows" : fmt::format("groups of {}", recipe.group_size);
  return fmt::format("{} bits, {}, {}; scales: {}; rounding: {}", recipe.bits, groups,
                     recipe.symmetric ? "symmetric" : "with zero points", scaling_name(recipe.scaling),
                     rounding_name(recipe.rounding));
}

std::string calibration_text(const CalibrationReport& calibration) {
  if (calibration.num_samples == 0) return "none: every weight to its nearest value";
  return fmt::format(
      "{} samples of {} tokens of {}{}", calibration.num_samples, calibration.seqlen, calibration.text,
      calibration.overlap > 0
          ? fmt::format(" ({:.0f} % of the tokens are in two of them)", percent(calibration.overlap))
          : "");
}

std::string evaluation_text(const QuantizationReport& report) {
  if (!report.evaluation) return fmt::format("Not measured: {}.\n", report.no_evaluation);
  const EvaluationReport& evaluation = *report.evaluation;
  const Comparison& found = evaluation.comparison;
  const double more = percent(found.b.perplexity / found.a.perplexity - 1);
  return fmt::format(
      "| on {} | before | after |\n|---|---|---|\n"
      "| perplexity, {} tokens | {:.4f} | {:.4f} ({:+.2f} %) |\n"
      "| KL to the 16-bit model, nats | | mean {:.4f}, 99th percentile {:.4f} |\n"
      "| most likely token changed | | {} of {} ({:.2f} %) |\n\n"
      "Measured in {:.0f} s.\n",
      evaluation.text, found.a.tokens, found.a.perplexity, found.b.perplexity, more, found.mean_kl,
      found.p99_kl, found.num_changed, found.num_positions, percent(found.changed_share()),
      evaluation.seconds);
}

std::string linears_table(const QuantizationReport& report) {
  std::string text =
      "| linear layer | relative error | clipped | dead inputs | NaN or infinite inputs "
      "|\n|---|---|---|---|---|\n";
  for (const LayerReport& layer : report.layers)
    for (const LinearReport& linear : layer.linears)
      text += fmt::format("| {} | {:.5f} | {:.4f} % | {} | {} |\n", linear.name, linear.relative_error,
                          percent(linear.clipped), linear.zero_inputs, linear.not_finite);
  return text;
}

}  // namespace

std::string to_markdown(const QuantizationReport& report) {
  return fmt::format(
      "# What quantisation changed\n\n"
      "`lmdeploy lite {}` of {}\n\n"
      "| | |\n|---|---|\n| recipe | {} |\n| calibration | {} |\n| weights | {} before, {} after |\n"
      "| time | {:.0f} s |\n\n"
      "## The model as a whole\n\n{}\n"
      "## Layer by layer\n\n"
      "The relative error of {}, Frobenius norms.\n\n![error per layer](quantization_report.svg)\n\n{}",
      report.command, report.model, recipe_text(report.recipe), calibration_text(report.calibration),
      gigabytes(report.bytes_before), gigabytes(report.bytes_after), report.seconds, evaluation_text(report),
      report.calibration.num_samples > 0 ? "each layer's outputs on up to 4,096 calibration tokens"
                                         : "the weights",
      linears_table(report));
}

}  // namespace lmdeploy
