#pragma once
// The way from logits to a draw again, slowly: whole vectors in double, sorted. For tests; shares nothing
// with the kernels.
#include <cstdint>
#include <map>
#include <vector>

namespace lmdeploy::ops::ref {

struct SamplingOptions {
  double temperature = 1;
  std::int64_t top_k = 0;
  double top_p = 1;
  double min_p = 0;
  double typical_p = 1;
  double repetition_penalty = 1;
  double presence_penalty = 0;
  double frequency_penalty = 0;
  std::map<std::int32_t, double> logit_bias;
  std::vector<std::int32_t> penalized_ids;
  std::map<std::int32_t, std::int64_t> answer_counts;
  std::vector<std::int32_t> banned_ids;
};

// The probabilities from which a token is drawn. Of two tokens that are equal the lower id is kept first.
std::vector<double> sampling_distribution(std::vector<double> logits, const SamplingOptions& options);

}  // namespace lmdeploy::ops::ref
