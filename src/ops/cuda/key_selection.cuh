#pragma once
// Rank among the logits of a row without sorting it: every element has a key, and the key up to which counts
// or weights add up to something is found by histograms of ever narrower ranges of keys.
#include "ops/cuda/row_team.cuh"

namespace lmdeploy::ops::cuda {

inline constexpr std::uint64_t kNoKey = ~std::uint64_t{0};  // of elements that are passed over

// Ascends with x; 0 and -0 are equal, NaN is above all.
__device__ inline unsigned ascending_bits(float x) {
  if (x != x) return ~0U;
  const unsigned bits = __float_as_uint(x == 0 ? 0.0F : x);
  return (bits >> 31) != 0 ? ~bits : bits | 0x80000000U;
}
__device__ inline float float_of_ascending(unsigned bits) {
  return __uint_as_float((bits >> 31) != 0 ? bits & 0x7fffffffU : ~bits);
}

// One bin per thread; the sums are 64 bits in two halves, since shared memory adds 32 bits at a time.
struct Histogram {  // shared
  static constexpr int kLogBins = 9;
  unsigned low[1 << kLogBins], high[1 << kLogBins];
  int bin;  // what find_bin() tells all threads
  std::uint64_t before;

  __device__ void clear() { low[threadIdx.x] = high[threadIdx.x] = 0; }
  // The order of additions does not matter: every carry out of the lower half is seen by the one who caused
  // it.
  __device__ void add(unsigned to, std::uint64_t measure) {
    const unsigned low_half = static_cast<unsigned>(measure);
    const unsigned carry = atomicAdd(&low[to], low_half) + low_half < low_half ? 1 : 0;
    const unsigned high_half = static_cast<unsigned>(measure >> 32) + carry;
    if (high_half != 0) atomicAdd(&high[to], high_half);
  }
};
static_assert(kTeamThreads == 1 << Histogram::kLogBins);

// Sets bin, -1 for none, to the first one with which the sum over the team's histograms reaches `target`, and
// before to the sum of those before it.
__device__ inline void find_bin(RowTeam& team, Histogram& histogram, std::uint64_t target) {
  std::uint64_t own = 0;
#pragma unroll 2
  for (int rank = 0; rank < team.size(); rank++)
    own += team.of_rank(histogram.low[threadIdx.x], rank) +
           (static_cast<std::uint64_t>(team.of_rank(histogram.high[threadIdx.x], rank)) << 32);
  const std::uint64_t through = team.block_inclusive_sum(own);
  if (through >= target && through - own < target) {
    histogram.bin = static_cast<int>(threadIdx.x);
    histogram.before = through - own;
  }
  if (threadIdx.x == kTeamThreads - 1 && through < target) histogram.bin = -1;
  __syncthreads();
}

// The smallest key such that the measures of the elements up to it add up to `target`, which is at least 1;
// the largest one of all where they never do. key_of and measure_of take a logit and its id; keys are
// distinct.
template <class KeyOf, class MeasureOf>
__device__ std::uint64_t key_reaching(RowTeam& team, Histogram& histogram, const float* x,
                                      std::uint64_t target, const KeyOf& key_of,
                                      const MeasureOf& measure_of) {
  std::uint64_t lowest = 0, highest = kNoKey - 1;
#pragma unroll 1
  for (;;) {
    Pair extremes{0, 0};  // ~lowest, highest: both as maxima
    team.for_each(x, [&](float logit, int id) {
      const std::uint64_t key = key_of(logit, id);
      if (key >= lowest && key <= highest) extremes = LargerOfPairs{}(extremes, {~key, key});
    });
    extremes = team.reduce(extremes, LargerOfPairs{});  // its sync() also ends all reading of histograms
    lowest = ~extremes.first;
    highest = extremes.second;
    if (lowest >= highest) return highest;

    const int range_bits = 64 - __clzll(static_cast<long long>(highest - lowest));
    const int shift = range_bits > Histogram::kLogBins ? range_bits - Histogram::kLogBins : 0;
    histogram.clear();
    __syncthreads();
    team.for_each(x, [&](float logit, int id) {
      const std::uint64_t key = key_of(logit, id);
      if (key >= lowest && key <= highest)
        histogram.add(static_cast<unsigned>((key - lowest) >> shift), measure_of(logit, id));
    });
    team.sync();
    find_bin(team, histogram, target);
    if (histogram.bin < 0) return highest;
    target -= histogram.before;
    lowest += static_cast<std::uint64_t>(histogram.bin) << shift;
    const std::uint64_t rest_of_bin = (std::uint64_t{1} << shift) - 1;
    if (highest - lowest > rest_of_bin) highest = lowest + rest_of_bin;
  }
}

}  // namespace lmdeploy::ops::cuda
