#pragma once
// One draw per row of logits: SamplingRow (ops.h) as the device reads it.
#include <cuda_runtime_api.h>

#include <cstdint>

namespace lmdeploy::ops::cuda {

// Ids have this many bits in the keys that rank tokens.
inline constexpr int kIdBits = 19;

// What one row's options do to single tokens, in this order; each kind at most once to a token, but for
// `ban`.
enum Adjustment : int { kBias, kRepetition, kAnswer, kBan };
inline constexpr int kNumAdjustments = 4;

struct AdjustedId {
  std::int32_t id;
  float value;  // bias, or how often the answer has the token
};

struct DeviceSamplingRow {
  double position;  // uniform in [0, 1)
  std::int32_t greedy;
  float scale;  // 1 / temperature
  std::int32_t top_k;
  float top_p;
  float min_p;
  float typical_p;
  float repetition_penalty;
  float presence_penalty;
  float frequency_penalty;
  // Where its adjusted ids begin; those of each kind lie one after the other.
  std::int32_t first_adjusted;
  std::int32_t num_adjusted[kNumAdjustments];
  std::int32_t copy_idx;    // of the copy that is adjusted; -1: there is nothing to adjust
  std::int32_t first_word;  // of its mask; -1: all may be drawn
};

struct SampleArguments {
  const float* logits;
  std::int64_t row_stride;
  std::int64_t num_rows;
  std::int32_t v;                 // at most 2^kIdBits
  const DeviceSamplingRow* rows;  // [num_rows]
  const AdjustedId* adjusted;
  const std::uint32_t* masks;  // bit id % 32 of word id / 32 of a row's own: id may be drawn
  float* copies;               // scratch [number of copies, v]
  std::int32_t* tokens;        // [num_rows], written
};
cudaError_t launch_sample(const SampleArguments& arguments, cudaStream_t stream);

}  // namespace lmdeploy::ops::cuda
