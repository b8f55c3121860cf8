#include <algorithm>
#include <array>
#include <cmath>
#include <map>

#include "base/error.h"
#include "quantize/report.h"

namespace lmdeploy {
namespace {

constexpr double kWidth = 720, kHeight = 320;
constexpr double kLeft = 52, kRight = 150, kTop = 20, kBottom = 36;
constexpr int kNumSteps = 4;  // of the vertical axis

// Distinct in lightness too (Okabe & Ito 2008).
constexpr std::array<const char*, 8> kColours{"#0072b2", "#d55e00", "#009e73", "#cc79a7",
                                              "#56b4e9", "#e69f00", "#000000", "#999999"};

// "q_proj" of "model.layers.3.self_attn.q_proj".
std::string kind_of(const std::string& name) {
  return name.substr(name.rfind('.') + 1);
}

// Error of each layer, by kind of linear layer, in the order of the first layer.
using Series = std::vector<std::pair<std::string, std::vector<double>>>;

Series series_of(const QuantizationReport& report) {
  Series series;
  for (const LayerReport& layer : report.layers)
    for (const LinearReport& linear : layer.linears) {
      const std::string kind = kind_of(linear.name);
      auto found =
          std::find_if(series.begin(), series.end(), [&](const auto& one) { return one.first == kind; });
      if (found == series.end()) found = series.insert(found, {kind, {}});
      found->second.push_back(linear.relative_error);
    }
  return series;
}

// The smallest of 1, 2, 5 x 10^n that `steps` of reach the value.
double nice_step(double value, int steps) {
  const double raw = std::max(value, 1e-6) / steps, power = std::pow(10, std::floor(std::log10(raw)));
  for (const double digit : {1.0, 2.0, 5.0})
    if (digit * power >= raw) return digit * power;
  return 10 * power;
}

struct Axes {
  double num_layers, top_error;

  double x(double layer) const {
    return kLeft + (kWidth - kLeft - kRight) * layer / std::max(1.0, num_layers - 1);
  }
  double y(double error) const { return kHeight - kBottom - (kHeight - kTop - kBottom) * error / top_error; }
};

std::string label(double x, double y, const char* anchor, const std::string& text) {
  return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\">{}</text>\n", x, y, anchor, text);
}

std::string grid(const Axes& axes, double step) {
  std::string svg;
  for (int i = 0; i <= kNumSteps; i++) {
    const double y = axes.y(i * step);
    svg += fmt::format("<path d=\"M{} {:.1f}H{}\" stroke=\"#ddd\"/>\n", kLeft, y, kWidth - kRight);
    svg += label(kLeft - 6, y + 4, "end", fmt::format("{:.3g}", i * step));
  }
  const double last = axes.num_layers - 1;
  svg += label(axes.x(0), kHeight - kBottom + 16, "middle", "0");
  svg += label(axes.x(last), kHeight - kBottom + 16, "middle", fmt::format("{}", last));
  return svg + label(axes.x(last / 2), kHeight - 6, "middle", "layer") +
         label(kLeft, kTop - 8, "middle", "relative error");
}

std::string line(const Axes& axes, const std::vector<double>& errors, const char* colour) {
  std::string points;
  for (std::size_t i = 0; i < errors.size(); i++)
    points += fmt::format("{:.1f},{:.1f} ", axes.x(static_cast<double>(i)), axes.y(errors[i]));
  return fmt::format("<polyline points=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"1.5\"/>\n", points,
                     colour);
}

}  // namespace

std::string error_plot_svg(const QuantizationReport& report) {
  const Series series = series_of(report);
  double largest = 0;
  for (const auto& [kind, errors] : series)
    for (const double error : errors) largest = std::max(largest, error);
  const double step = nice_step(largest, kNumSteps);
  const Axes axes{static_cast<double>(report.layers.size()), step * kNumSteps};
  std::string svg = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {}\" font-family=\"sans-serif\" "
      "font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n",
      kWidth, kHeight);
  svg += grid(axes, step);
  for (std::size_t i = 0; i < series.size(); i++) {
    const char* colour = kColours[i % kColours.size()];
    const double y = kTop + 10 + 18 * static_cast<double>(i), x = kWidth - kRight + 16;
    svg += line(axes, series[i].second, colour);
    svg += fmt::format("<path d=\"M{} {}h18\" stroke=\"{}\" stroke-width=\"3\"/>\n", x, y, colour);
    svg += label(x + 24, y + 4, "start", series[i].first);
  }
  return svg + "</svg>\n";
}

}  // namespace lmdeploy
