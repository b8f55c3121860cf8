#pragma once
// Which tokens of one row may be drawn, and how likely.
#include "ops/cuda/key_selection.cuh"
#include "ops/cuda/sample_kernel.h"

namespace lmdeploy::ops::cuda {

// Weights are exp((logit - max) / temperature), so the most likely token has 1, as integers in units of
// 2^-kWeightBits: their sums are exact, so they do not depend on who adds first. What lies below half a unit
// is never drawn: all such tokens of a row together have less than 2e-8 of the probability. The sum of
// 2^kIdBits weights fits 64 bits.
inline constexpr int kWeightBits = 44;
// The logarithm of a smaller weight than half a unit, which is 2^-45 = e^-31.2.
inline constexpr float kLowestExponent = -31.5F;
inline constexpr std::uint64_t kIdMask = (std::uint64_t{1} << kIdBits) - 1;

struct TokenWeights {
  float max;    // of the logits
  float scale;  // 1 / temperature
  // What the limits leave, in the order in which they act.
  std::uint64_t last_rank = kNoKey - 1;
  float least_weight = 0;
  double mean_surprise = 0;  // relative to the most likely token's
  std::uint64_t last_typical = kNoKey;

  __device__ float exponent(float logit) const { return (logit - max) * scale; }
  __device__ static std::uint64_t in_units(float weight) {
    return weight > 0 ? __float2ull_rn(weight * static_cast<float>(std::uint64_t{1} << kWeightBits)) : 0;
  }
  __device__ std::uint64_t units(float logit) const { return in_units(expf(exponent(logit))); }

  // Ascends from the most likely token on, the lower id first among equals: [13 bits of the exponent, so that
  // histograms of keys are even | the logit | the id].
  __device__ std::uint64_t rank(float logit, int id) const {
    constexpr int kLogitBits = 32, kExponentFraction = 256;
    const float e = exponent(logit);
    if (!(e >= kLowestExponent)) return kNoKey;
    const std::uint64_t coarse = __float2uint_rz(-e * kExponentFraction);
    return (coarse << (kLogitBits + kIdBits)) |
           (static_cast<std::uint64_t>(~ascending_bits(logit)) << kIdBits) | static_cast<std::uint64_t>(id);
  }
  // Ascends from the token on whose surprise is nearest to the mean (Meister et al. 2022). Surprises lie in
  // [0, 32), so their distances take 5 bits and a fraction.
  __device__ std::uint64_t typical_rank(float logit, int id) const {
    constexpr double kUnit = 1.0 / static_cast<double>(std::uint64_t{1} << (64 - 5 - kIdBits));
    const double surprise =
        (static_cast<double>(max) - static_cast<double>(logit)) * static_cast<double>(scale);
    const std::uint64_t distance = __double2ull_rz(fabs(surprise - mean_surprise) / kUnit);
    return (distance << kIdBits) | static_cast<std::uint64_t>(id);
  }

  // 0 for what may not be drawn.
  __device__ std::uint64_t allowed_units(float logit, int id) const {
    if (rank(logit, id) > last_rank) return 0;
    const float weight = expf(exponent(logit));
    if (weight < least_weight) return 0;
    if (last_typical != kNoKey && typical_rank(logit, id) > last_typical) return 0;
    return in_units(weight);
  }
};

}  // namespace lmdeploy::ops::cuda
