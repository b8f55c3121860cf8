#include "ops/roofs.h"

#include <chrono>
#include <cstring>
#include <numeric>
#include <vector>

#include "ops/cpu/cpu_ops.h"
#include "ops/cpu/kernels.h"
#include "ops/cpu/parallel.h"
#include "ops/cpu/quantized_kernels.h"

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

// Multiply-adds x 2 per second that `kernel` does on all threads.
double peak_ops(Ctx& ctx, double (*kernel)(std::int64_t num_rounds)) {
  constexpr std::int64_t kRounds = 500'000;
  constexpr int kTries = 3, kTasksPerThread = 8;
  const std::int64_t num_tasks = std::int64_t{kTasksPerThread} * ctx.pool->num_threads();
  std::vector<double> counts(static_cast<std::size_t>(num_tasks));
  const double seconds = best_seconds(kTries, [&] {
    ctx.pool->parallel_for(
        num_tasks, [&](std::int64_t i, int) { counts[static_cast<std::size_t>(i)] = kernel(kRounds); });
  });
  return 2 * std::accumulate(counts.begin(), counts.end(), 0.0) / seconds;
}

}  // namespace

// Rates are of the best of several tries: other programs only ever make a try slower.
Roofs measure_roofs(Ctx& ctx) {
  constexpr std::int64_t kNumChunks = 512, kChunkBytes = 1 << 20;
  constexpr int kReadTries = 6;
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
  return {static_cast<double>(kNumChunks * kChunkBytes) / read_seconds, peak_ops(ctx, k.multiply_adds),
          peak_ops(ctx, quantized_kernels(ctx.cpu_isa).int8_multiply_adds)};
}

}  // namespace lmdeploy::ops::cpu
