#include "convert/rope_freqs.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

#include "base/error.h"

namespace lmdeploy::convert {
namespace {

constexpr double kTolerance = 1e-4;

// Of Llama 3.1 and 3.2.
constexpr double kLowFreqFactor = 1;
constexpr double kHighFreqFactor = 4;
constexpr double kOriginalContext = 8192;

struct Parameters {
  double factor;
  double high_freq_factor;
  double original_context;
};

double wavelength(std::size_t i, std::size_t num_freqs, double rope_theta) {
  return 2 * std::numbers::pi * std::pow(rope_theta, static_cast<double>(i) / static_cast<double>(num_freqs));
}

double divisor_of(double wave, const Parameters& p) {
  if (wave < p.original_context / p.high_freq_factor) return 1;
  if (wave > p.original_context / kLowFreqFactor) return p.factor;
  const double smooth = (p.original_context / wave - kLowFreqFactor) / (p.high_freq_factor - kLowFreqFactor);
  return 1 / ((1 - smooth) / p.factor + smooth);
}

bool reproduces(const Parameters& p, std::span<const float> divisors, double rope_theta) {
  for (std::size_t i = 0; i < divisors.size(); ++i) {
    const double expected = divisor_of(wavelength(i, divisors.size(), rope_theta), p);
    if (!(std::abs(static_cast<double>(divisors[i]) - expected) <= kTolerance * expected)) return false;
  }
  return true;
}

// Between the two ends `smooth` is a straight line over 1 / wavelength: slope and intercept, by least
// squares, give the two ratios.
std::optional<Parameters> fit(std::span<const float> divisors, double rope_theta, double factor) {
  double n = 0;
  double sum_x = 0;
  double sum_y = 0;
  double sum_xx = 0;
  double sum_xy = 0;
  for (std::size_t i = 0; i < divisors.size(); ++i) {
    const double divisor = divisors[i];
    if (divisor <= 1 + kTolerance || divisor >= factor * (1 - kTolerance)) continue;
    const double x = 1 / wavelength(i, divisors.size(), rope_theta);
    const double y = (1 / divisor - 1 / factor) / (1 - 1 / factor);
    n += 1;
    sum_x += x;
    sum_y += y;
    sum_xx += x * x;
    sum_xy += x * y;
  }
  const double spread = n * sum_xx - sum_x * sum_x;
  if (n < 2 || spread <= 0) return std::nullopt;
  const double slope = (n * sum_xy - sum_x * sum_y) / spread;
  const double intercept = (sum_y - slope * sum_x) / n;  // -low / (high - low)
  if (slope <= 0 || intercept >= 0) return std::nullopt;
  // Rounded to what a person would have written; the check that follows decides.
  const double high = std::round((1 - 1 / intercept) * 1000) / 1000;
  return Parameters{factor, high, std::round(slope / -intercept)};
}

}  // namespace

std::optional<RopeConfig> recover_llama3_rope(std::span<const float> divisors, double rope_theta) {
  RopeConfig rope;
  rope.rope_theta = rope_theta;
  const double factor = divisors.empty() ? 1 : *std::max_element(divisors.begin(), divisors.end());
  const bool unscaled = std::all_of(divisors.begin(), divisors.end(), [](float d) { return d == 1.0F; });
  if (unscaled) return rope;
  if (!(factor > 1) || !std::isfinite(factor)) return std::nullopt;

  std::optional<Parameters> found = Parameters{factor, kHighFreqFactor, kOriginalContext};
  if (!reproduces(*found, divisors, rope_theta)) found = fit(divisors, rope_theta, factor);
  if (!found || !reproduces(*found, divisors, rope_theta)) return std::nullopt;
  rope.rope_type = "llama3";
  rope.factor = found->factor;
  rope.low_freq_factor = kLowFreqFactor;
  rope.high_freq_factor = found->high_freq_factor;
  rope.original_max_position_embeddings = static_cast<std::int64_t>(found->original_context);
  return rope;
}

void apply_rope_freqs(const GgufFile& file, const GgufTensor& freqs, HfConfig& config) {
  const std::string origin = file.path().string();
  if (freqs.num_rows() != 1 || freqs.row_len() != config.head_dim / 2)
    throw Error(fmt::format("{}: rope_freqs.weight must have head_dim / 2 = {} elements", origin,
                            config.head_dim / 2));
  std::vector<float> divisors(static_cast<std::size_t>(freqs.row_len()));
  dequantize_gguf(freqs.type, file.rows(freqs, 0, 1), divisors);
  const std::optional<RopeConfig> rope = recover_llama3_rope(divisors, config.rope.rope_theta);
  if (!rope)
    throw Error(
        fmt::format("{}: rope_freqs.weight is not Llama 3's rope scaling, and no other is known", origin));
  if (rope->rope_type == "default") return;
  if (config.rope.rope_type != "default")
    throw Error(fmt::format("{}: rope_freqs.weight and rope.scaling.type \"{}\" scale rope twice", origin,
                            config.rope.rope_type));
  config.rope = *rope;
}

}  // namespace lmdeploy::convert
