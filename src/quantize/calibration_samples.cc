#include "quantize/calibration_samples.h"

#include <algorithm>
#include <random>

#include "base/error.h"

namespace lmdeploy {
namespace {

// In [0, bound]; the same on every machine, which std::uniform_int_distribution is not.
std::int64_t draw(std::mt19937_64& random, std::int64_t bound) {
  return static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(bound + 1));
}

// Ascending. What the samples leave of the text is cut at random and lies between them; where nothing is left
// each begins anywhere.
std::vector<std::int64_t> random_starts(std::int64_t text_len, const SampleOptions& options) {
  std::mt19937_64 random(options.seed);
  const std::int64_t spare = text_len - options.num_samples * options.seqlen;
  std::vector<std::int64_t> starts(static_cast<std::size_t>(options.num_samples));
  for (std::int64_t& start : starts) start = draw(random, spare >= 0 ? spare : text_len - options.seqlen);
  std::sort(starts.begin(), starts.end());
  for (std::size_t i = 0; spare >= 0 && i < starts.size(); i++)
    starts[i] += static_cast<std::int64_t>(i) * options.seqlen;
  return starts;
}

std::vector<std::int64_t> sequential_starts(const SampleOptions& options) {
  std::vector<std::int64_t> starts;
  for (std::int64_t i = 0; i < options.num_samples; i++) starts.push_back(i * options.seqlen);
  return starts;
}

double overlap_of(const std::vector<std::int64_t>& ascending_starts, std::int64_t seqlen) {
  std::int64_t shared = 0;
  for (std::size_t i = 1; i < ascending_starts.size(); i++)
    shared += std::max<std::int64_t>(0, ascending_starts[i - 1] + seqlen - ascending_starts[i]);
  return static_cast<double>(shared) / static_cast<double>(std::ssize(ascending_starts) * seqlen);
}

void check_length(std::int64_t text_len, const SampleOptions& options) {
  const bool sequential = options.order == SampleOrder::sequential;
  const std::int64_t needed = sequential ? options.num_samples * options.seqlen : options.seqlen;
  if (text_len >= needed) return;
  throw Error(fmt::format("the calibration text has {} tokens; {} {} tokens need {}", text_len,
                          sequential ? fmt::format("{} samples of", options.num_samples) : "one sample of",
                          options.seqlen, needed),
              "Give a longer text, or lower --calib-seqlen or --calib-samples.");
}

}  // namespace

CalibrationSamples choose_samples(std::span<const std::int32_t> text, const SampleOptions& options) {
  CHECK(options.num_samples > 0 && options.seqlen > 0);
  check_length(std::ssize(text), options);
  const std::vector<std::int64_t> starts = options.order == SampleOrder::sequential
                                               ? sequential_starts(options)
                                               : random_starts(std::ssize(text), options);
  CalibrationSamples result;
  result.num_samples = options.num_samples;
  result.seqlen = options.seqlen;
  result.overlap = overlap_of(starts, options.seqlen);
  for (const std::int64_t start : starts) {
    const auto sample =
        text.subspan(static_cast<std::size_t>(start), static_cast<std::size_t>(options.seqlen));
    result.ids.insert(result.ids.end(), sample.begin(), sample.end());
  }
  return result;
}

}  // namespace lmdeploy
