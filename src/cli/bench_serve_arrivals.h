#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

namespace lmdeploy::cli {

struct ArrivalOptions {
  double request_rate = 0;  // requests per second; 0: all at once
  double burstiness = 1;    // shape of the gamma distribution of the gaps: 1 is Poisson, less is burstier
  std::uint64_t seed = 0;
};

// When each request is to be sent, in seconds after the start, ascending. As in `vllm bench serve` the gaps
// are stretched so that the last request is due at num_requests / request_rate: what is offered is the rate
// that was asked for, not a sample around it.
std::vector<double> arrival_times(std::size_t num_requests, const ArrivalOptions& options);

}  // namespace lmdeploy::cli
