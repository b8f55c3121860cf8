#pragma once
// Log probabilities of rows of logits.
#include <cuda_runtime_api.h>

#include <cstdint>

namespace lmdeploy::ops::cuda {

struct LogitRows {
  const float* data;
  std::int64_t row_stride;
  std::int64_t num_rows;
  std::int32_t v;
};

struct IdLogit {
  std::int32_t id;
  float logit;
};

struct RowSum {
  double log_sum;  // log(sum(exp(row))), not finite where a logit is NaN or +inf
  float logit;     // of the row's target
};
// Rows whose target is below 0 are passed over.
cudaError_t launch_row_sums(const LogitRows& rows, const std::int32_t* targets, RowSum* sums,
                            cudaStream_t stream);

// The counts[i] <= v highest logits of row i, the lower id among equals, by ascending ids: `tops` from
// offsets[i] on. Of a row with NaN any of them.
struct TopLogits {
  LogitRows rows;
  const std::int32_t* counts;
  const std::int64_t* offsets;
  IdLogit* tops;
};
cudaError_t launch_top_logits(const TopLogits& arguments, cudaStream_t stream);

}  // namespace lmdeploy::ops::cuda
