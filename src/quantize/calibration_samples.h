#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace lmdeploy {

enum class SampleOrder : std::uint8_t { random, sequential };

struct SampleOptions {
  std::int64_t num_samples = 128;
  std::int64_t seqlen = 2048;  // tokens per sample
  SampleOrder order = SampleOrder::random;
  std::uint64_t seed = 0;  // of the random starts
};

// Sequences of tokens that a model is calibrated with, each from position 0.
struct CalibrationSamples {
  std::vector<std::int32_t> ids;  // [num_samples * seqlen]
  std::int64_t num_samples = 0;
  std::int64_t seqlen = 0;
  double overlap = 0;  // share of the ids that stand in the text where another sample has them too

  std::span<const std::int32_t> sample(std::int64_t sample_idx) const {
    return std::span(ids).subspan(static_cast<std::size_t>(sample_idx * seqlen),
                                  static_cast<std::size_t>(seqlen));
  }
};

// Pieces of a text: the first ones side by side, or from random starts, which do not overlap where the text
// is long enough. Throws Error where it has too few tokens.
CalibrationSamples choose_samples(std::span<const std::int32_t> text, const SampleOptions& options);

}  // namespace lmdeploy
