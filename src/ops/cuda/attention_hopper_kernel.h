#pragma once
// The prefill kernel for Hopper, for head_dim 64 and 128: the same as launch_prefill_attention, quicker.
#include <cuda.h>

#include "ops/cuda/attention_kernel.h"

namespace lmdeploy::ops::cuda {

// Whether the current card has this kernel's instructions, and the program code for them.
bool has_hopper_attention(const KvBlocks& cache);

// pages: of a cache of floats, a tensor [block][page of the block][K, V][64][head_dim] in boxes of 64 tokens
// and 64 elements, swizzled in 128 bytes (attention_pages.h).
cudaError_t launch_hopper_attention(const AttentionArguments& arguments, const CUtensorMap& pages,
                                    cudaStream_t stream);

}  // namespace lmdeploy::ops::cuda
