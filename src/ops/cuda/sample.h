#pragma once
// `sample` in its two halves: what the host knows is uploaded once, and the draw itself touches the host no
// more.
#include <cstdint>
#include <span>

#include "ops/cuda/sample_kernel.h"
#include "ops/ops.h"

namespace lmdeploy::ops::cuda {

// Options of rows in device memory, borrowed.
struct DeviceSamplingRows {
  const DeviceSamplingRow* rows = nullptr;
  const AdjustedId* adjusted = nullptr;
  const std::uint32_t* masks = nullptr;
  std::int64_t num_rows = 0;
  std::int64_t num_copies = 0;  // rows whose logits are adjusted, for which sample_on_device takes a copy
};

// In one transfer, into the workspace.
DeviceSamplingRows upload_rows(Ctx& ctx, std::span<const SamplingRow> rows);

// tokens: [m] in device memory.
void sample_on_device(Ctx& ctx, const View& logits, const DeviceSamplingRows& rows, std::int32_t* tokens);

}  // namespace lmdeploy::ops::cuda
