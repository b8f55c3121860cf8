#pragma once
#include <cuda_runtime_api.h>

#include "ops/cuda/kv_blocks.h"

namespace lmdeploy::ops::cuda {

// Keys and values of num_rows tokens on their way into a cache: rows of [num_kv_heads, head_dim] f32. With a
// table the keys are stored rotated by it, and the queries, rows of [num_heads, head_dim] f32, are rotated
// where they lie.
struct StoreKvArguments {
  const float* table;  // rows of head_dim cosines and sines, as rope_table writes them; or none
  std::int64_t table_stride;
  float* q;
  std::int64_t q_stride;
  std::int32_t num_heads;  // of q; 0 without a table
  const float* k;
  const float* v;
  std::int64_t k_stride;  // elements between rows
  std::int64_t v_stride;
  const std::int32_t* slots;  // [num_rows]
  std::int64_t num_rows;
};
cudaError_t launch_store_kv(const StoreKvArguments& arguments, const KvBlocks& cache, cudaStream_t stream);

// y[i] = the key at slots[i] of a cache that is not quantised; rows of [num_kv_heads, head_dim] f32.
cudaError_t launch_read_keys(const KvBlocks& cache, const std::int32_t* slots, std::int64_t num_rows,
                             float* y, std::int64_t y_stride, cudaStream_t stream);

}  // namespace lmdeploy::ops::cuda
