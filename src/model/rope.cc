#include "model/rope.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/error.h"

namespace lmdeploy {
namespace {

// base^(2i / d), in float as transformers computes it: at position 8192 a double's last bits would show.
std::vector<float> wavelengths(double base, std::int64_t head_dim) {
  std::vector<float> result(static_cast<std::size_t>(head_dim / 2));
  for (std::size_t i = 0; i < result.size(); i++)
    result[i] = std::pow(static_cast<float>(base), static_cast<float>(2 * i) / static_cast<float>(head_dim));
  return result;
}

std::vector<float> plain_frequencies(double base, std::int64_t head_dim) {
  std::vector<float> result = wavelengths(base, head_dim);
  for (float& value : result) value = 1.0F / value;
  return result;
}

Rope linear_rope(const RopeConfig& config, std::int64_t head_dim) {
  Rope rope{plain_frequencies(config.rope_theta, head_dim), 1};
  for (float& value : rope.inv_freq) value /= static_cast<float>(config.factor);
  return rope;
}

Rope dynamic_rope(const RopeConfig& config, std::int64_t head_dim, std::int64_t max_position_embeddings,
                  std::int64_t session_len) {
  const auto max_len = static_cast<double>(max_position_embeddings);
  const double len = std::max(static_cast<double>(session_len), max_len);
  const auto d = static_cast<double>(head_dim);
  const double growth = config.factor * len / max_len - (config.factor - 1);
  return {plain_frequencies(config.rope_theta * std::pow(growth, d / (d - 2)), head_dim), 1};
}

// Long waves are stretched by `factor`, short ones are kept, those between are blended (Llama 3.1).
Rope llama3_rope(const RopeConfig& config, std::int64_t head_dim, std::int64_t max_position_embeddings) {
  const double low = config.low_freq_factor.value_or(1);
  const double high = config.high_freq_factor.value_or(4);
  const auto old_len =
      static_cast<double>(config.original_max_position_embeddings.value_or(max_position_embeddings));
  if (high <= low)
    throw Error(fmt::format("llama3 rope: high_freq_factor {} is not above low_freq_factor {}", high, low),
                "Correct rope_scaling in config.json.");
  Rope rope{plain_frequencies(config.rope_theta, head_dim), 1};
  for (float& value : rope.inv_freq) {
    const double wavelength = 2 * std::numbers::pi / value;
    if (wavelength > old_len / low) {
      value = static_cast<float>(value / config.factor);
    } else if (wavelength >= old_len / high) {
      const double smooth = (old_len / wavelength - low) / (high - low);
      value = static_cast<float>((1 - smooth) * value / config.factor + smooth * value);
    }
  }
  return rope;
}

double yarn_mscale(double factor, double mscale) {
  return factor <= 1 ? 1 : 0.1 * mscale * std::log(factor) + 1;
}

float yarn_attention_factor(const RopeConfig& config) {
  if (config.attention_factor) return static_cast<float>(*config.attention_factor);
  const double mscale = config.mscale.value_or(0), mscale_all_dim = config.mscale_all_dim.value_or(0);
  if (mscale != 0 && mscale_all_dim != 0)
    return static_cast<float>(yarn_mscale(config.factor, mscale) /
                              yarn_mscale(config.factor, mscale_all_dim));
  return static_cast<float>(yarn_mscale(config.factor, 1));
}

// Peng et al. 2023, section 3.2: dimensions that turn more than beta_fast times in the original context are
// kept, those that turn less than beta_slow times are interpolated, a ramp lies between.
Rope yarn_rope(const RopeConfig& config, std::int64_t head_dim, std::int64_t max_position_embeddings) {
  const auto d = static_cast<double>(head_dim);
  const auto old_len =
      static_cast<double>(config.original_max_position_embeddings.value_or(max_position_embeddings));
  const auto dim_of_turns = [&](double num_turns) {
    return d * std::log(old_len / (num_turns * 2 * std::numbers::pi)) / (2 * std::log(config.rope_theta));
  };
  double low = dim_of_turns(config.beta_fast.value_or(32));
  double high = dim_of_turns(config.beta_slow.value_or(1));
  if (config.truncate) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, d - 1);
  if (low == high) high += 0.001;

  Rope rope{wavelengths(config.rope_theta, head_dim), yarn_attention_factor(config)};
  for (std::size_t i = 0; i < rope.inv_freq.size(); i++) {
    const float extrapolated = 1.0F / rope.inv_freq[i];
    const float interpolated = 1.0F / (static_cast<float>(config.factor) * rope.inv_freq[i]);
    const auto ramp = static_cast<float>(std::clamp((static_cast<double>(i) - low) / (high - low), 0.0, 1.0));
    rope.inv_freq[i] = interpolated * ramp + extrapolated * (1 - ramp);
  }
  return rope;
}

}  // namespace

Rope make_rope(const RopeConfig& config, std::int64_t head_dim, std::int64_t max_position_embeddings,
               std::int64_t session_len) {
  if (head_dim < 4 || head_dim % 2 != 0)
    throw Error(fmt::format("head_dim is {}; rotary embeddings need an even number of at least 4", head_dim));
  if (config.rope_type == "default") return {plain_frequencies(config.rope_theta, head_dim), 1};
  if (config.rope_type == "linear") return linear_rope(config, head_dim);
  if (config.rope_type == "dynamic")
    return dynamic_rope(config, head_dim, max_position_embeddings, session_len);
  if (config.rope_type == "llama3") return llama3_rope(config, head_dim, max_position_embeddings);
  if (config.rope_type == "yarn") return yarn_rope(config, head_dim, max_position_embeddings);
  throw Error(fmt::format("rope type \"{}\" is not known (known: default, linear, dynamic, llama3, yarn)",
                          config.rope_type),
              "Use a model with one of these.");
}

}  // namespace lmdeploy
