#include "ops/roofs.h"

#include <chrono>
#include <cstring>
#include <numeric>
#include <vector>

#include "ops/cpu/cpu_ops.h"
#include "ops/cpu/kernels.h"
#include "ops/cpu/parallel.h"

namespace lmdeploy::ops::cpu {
namespace {

template <class Work>
double best_seconds(int num_tries, const Work& work) {
  using Clock = std::chrono::steady_clock;
  double best = 1e30;
  for (int i = 0; i < num_tries; i++) {
    const auto begin = Clock::now();
    work();
    best = std::min(best, std::chrono::duration<double>(Clock::now() - begin).count());
  }
  return best;
}

}  // namespace

// Rates are of the best of several tries: other programs only ever make a try slower.
Roofs measure_roofs(Ctx& ctx) {
  constexpr std::int64_t kNumChunks = 512, kChunkBytes = 1 << 20, kRounds = 500'000;
  constexpr int kReadTries = 6, kComputeTries = 3, kComputeTasksPerThread = 8;
  const Kernels& k = kernels(ctx.cpu_isa);
  const Tensor buffer(*ctx.allocator, DType::u8, {kNumChunks, kChunkBytes});
  ctx.pool->parallel_for(kNumChunks, [&](std::int64_t i, int) {
    std::memset(element(buffer, i), 1, static_cast<std::size_t>(kChunkBytes));
  });
  std::vector<std::uint64_t> sums(kNumChunks);
  const double read_seconds = best_seconds(kReadTries, [&] {
    ctx.pool->parallel_for(kNumChunks, [&](std::int64_t i, int) {
      sums[static_cast<std::size_t>(i)] = k.read(element(buffer, i), kChunkBytes);
    });
  });
  const std::int64_t num_tasks = std::int64_t{kComputeTasksPerThread} * ctx.pool->num_threads();
  std::vector<double> counts(static_cast<std::size_t>(num_tasks));
  const double compute_seconds = best_seconds(kComputeTries, [&] {
    ctx.pool->parallel_for(num_tasks, [&](std::int64_t i, int) {
      counts[static_cast<std::size_t>(i)] = k.multiply_adds(kRounds);
    });
  });
  const double multiply_adds = std::accumulate(counts.begin(), counts.end(), 0.0);
  return {static_cast<double>(kNumChunks * kChunkBytes) / read_seconds, 2 * multiply_adds / compute_seconds};
}

}  // namespace lmdeploy::ops::cpu
