#include "cli/bench_serve_arrivals.h"

#include <random>

namespace lmdeploy::cli {

std::vector<double> arrival_times(std::size_t num_requests, const ArrivalOptions& options) {
  std::vector<double> times(num_requests, 0.0);
  if (options.request_rate <= 0 || num_requests == 0) return times;
  std::mt19937_64 random(options.seed);
  std::gamma_distribution<double> gap(options.burstiness, 1 / (options.request_rate * options.burstiness));
  double now = 0;
  for (double& time : times) time = now += gap(random);
  const double wanted = static_cast<double>(num_requests) / options.request_rate;
  if (now > 0)
    for (double& time : times) time *= wanted / now;
  return times;
}

}  // namespace lmdeploy::cli
