#include "ops/cuda/attention_plan.h"

#include <algorithm>
#include <limits>

namespace lmdeploy::ops::cuda {
namespace {

// Costs are times, counted in the KiB that a multiprocessor reads meanwhile at its share of the card's read
// rate: 44 ns each on an H100, where these were measured (bench/NOTES.md).
constexpr double kKib = 1024;
constexpr double kSlab = 14;    // to compute one, which nothing hides where reading is done
constexpr double kTurn = 10;    // what is lost each time that a CTA has to refill its stages
constexpr double kWave = 60;    // between the CTAs that run at a time and the next ones
constexpr double kMerge = 40;   // parts to memory, a ticket, parts from there
constexpr double kBatch = 18;   // of parts that the merging CTA does not read at once with the first
constexpr double kPart = 0.25;  // each part's bytes

std::int64_t divide_up(std::int64_t a, std::int64_t b) {
  return (a + b - 1) / b;
}

double cost_of(const DecodeWork& work, const DecodeWidth& width, std::int64_t num_splits) {
  const std::int64_t num_ctas = work.num_units * num_splits,
                     num_waves = divide_up(num_ctas, work.num_multiprocessors * width.num_ctas),
                     pages = divide_up(work.num_pages, num_splits),
                     slabs = divide_up(pages * kPageLen, std::int64_t{width.num_warps} * width.slab_len);
  const double page = static_cast<double>(work.page_bytes) / kKib, cta = static_cast<double>(pages) * page,
               in_flight = std::min(cta, width.num_warps * static_cast<double>(width.warp_bytes) / kKib),
               all = static_cast<double>(work.num_units * work.num_pages) * page;
  double cost =
      all / static_cast<double>(work.num_multiprocessors) +
      static_cast<double>(num_waves) * (kWave + kTurn * cta / in_flight + kSlab * static_cast<double>(slabs));
  if (num_splits > 1) {
    const std::int64_t num_batches = divide_up(num_splits, width.parts_at_once);
    cost += kMerge + kBatch * static_cast<double>(num_batches - 1) + kPart * static_cast<double>(num_splits);
  }
  return cost;
}

}  // namespace

DecodePlan plan_decode(const DecodeWork& work, std::span<const DecodeWidth> widths) {
  constexpr std::int64_t kMaxWaves = 8;
  DecodePlan best{};
  double best_cost = std::numeric_limits<double>::max();
  for (const DecodeWidth& width : widths) {
    const std::int64_t num_slots = work.num_multiprocessors * width.num_ctas,
                       max_splits = std::min(
                           {work.num_pages, work.max_splits, kMaxWaves * num_slots / work.num_units});
    for (std::int64_t n = 1; n == 1 || n <= max_splits; n++) {
      const double cost = cost_of(work, width, n);
      if (cost >= best_cost) continue;
      best = {width.num_warps, static_cast<std::int32_t>(n)};
      best_cost = cost;
    }
  }
  return best;
}

}  // namespace lmdeploy::ops::cuda
