#pragma once
#include <cstdint>
#include <vector>

#include "engine/engine.h"

namespace lmdeploy::cli {

// When the tokens of one request came, in seconds after all were submitted.
struct RequestTimes {
  double first = 0;
  double last = 0;
  std::int32_t num_tokens = 0;
};

struct BenchLoad {
  std::int32_t num_requests = 1;
  std::int32_t input_len = 32;
  std::int32_t output_len = 128;
  std::uint64_t seed = 0;
};

// Submits all requests at once, random ids, greedy, end tokens ignored, and waits for the last token. Throws
// Error where the engine refuses or fails.
std::vector<RequestTimes> run_load(Engine& engine, const BenchLoad& load);

}  // namespace lmdeploy::cli
