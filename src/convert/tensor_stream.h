#pragma once
#include "checkpoint/gguf.h"
#include "checkpoint/writer.h"
#include "convert/gguf_to_hf.h"
#include "convert/tensor_plan.h"

namespace lmdeploy::convert {

// Dequantises the planned tensors, rounds them to bf16 and appends them to the writer, a few rows at a time.
// Throws Error: a value that is not finite or too large for bf16, a file that changed its size, a full disk.
void stream_tensors(const GgufFile& file, const std::vector<PlannedTensor>& tensors, CheckpointWriter& writer,
                    const ConvertProgress& progress);

}  // namespace lmdeploy::convert
