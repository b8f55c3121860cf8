#include "ops/cuda/attention_pages.h"

#include <array>

#include "base/error.h"
#include "ops/cuda/launch.h"

namespace lmdeploy::ops::cuda {
namespace {

using Encode = CUresult(CUtensorMap*, CUtensorMapDataType, cuuint32_t, void*, const cuuint64_t*,
                        const cuuint64_t*, const cuuint32_t*, const cuuint32_t*, CUtensorMapInterleave,
                        CUtensorMapSwizzle, CUtensorMapL2promotion, CUtensorMapFloatOOBfill);

// The program is not linked with the driver's library.
Encode* find_encode() {
  void* function = nullptr;
  cudaDriverEntryPointQueryResult found{};
#if CUDART_VERSION >= 12050
  constexpr unsigned kFirstVersion = 12000;
  CUDA_CHECK(cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &function, kFirstVersion,
                                              cudaEnableDefault, &found));
#else
  CUDA_CHECK(cudaGetDriverEntryPoint("cuTensorMapEncodeTiled", &function, cudaEnableDefault, &found));
#endif
  if (found != cudaDriverEntryPointSuccess || function == nullptr)
    throw Error("the driver of the card has no cuTensorMapEncodeTiled",
                "Install one for CUDA 12.0 or newer.");
  return reinterpret_cast<Encode*>(function);
}

}  // namespace

CUtensorMap describe_pages(const KvLayer& cache) {
  CUtensorMap map{};
  const KvLayout& layout = cache.layout;
  if (layout.quant_bits != 0) return map;
  static Encode* const encode = find_encode();
  constexpr cuuint32_t kPageLen = 64, kBoxElements = 64, kRank = 5;
  const auto row_bytes = static_cast<cuuint64_t>(layout.token_bytes()),
             half_bytes = static_cast<cuuint64_t>(layout.head_bytes());
  // The innermost first; strides in bytes, of all but the innermost.
  const std::array<cuuint64_t, kRank> sizes = {
      static_cast<cuuint64_t>(layout.head_dim), kPageLen, 2,
      static_cast<cuuint64_t>(layout.block_len) / kPageLen * static_cast<cuuint64_t>(layout.num_kv_heads),
      static_cast<cuuint64_t>(cache.num_blocks)};
  const std::array<cuuint64_t, kRank - 1> strides = {row_bytes, half_bytes, 2 * half_bytes,
                                                     static_cast<cuuint64_t>(cache.block_stride)};
  const std::array<cuuint32_t, kRank> box = {kBoxElements, kPageLen, 1, 1, 1}, steps = {1, 1, 1, 1, 1};
  const CUresult result = encode(
      &map, layout.dtype == DType::bf16 ? CU_TENSOR_MAP_DATA_TYPE_BFLOAT16 : CU_TENSOR_MAP_DATA_TYPE_FLOAT16,
      kRank, cache.data, sizes.data(), strides.data(), box.data(), steps.data(),
      CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B, CU_TENSOR_MAP_L2_PROMOTION_L2_256B,
      CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  CHECK(result == CUDA_SUCCESS,
        "attention: the driver describes no cache of {} blocks, {} bytes apart: error {}", cache.num_blocks,
        cache.block_stride, static_cast<int>(result));
  return map;
}

}  // namespace lmdeploy::ops::cuda
