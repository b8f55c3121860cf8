#include "ops/cuda/head_row.cuh"
#include "ops/cuda/kv_block.cuh"
#include "ops/cuda/store_kv_kernel.h"

namespace lmdeploy::ops::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / kWarpLen;

// The keys, or the values, of one head of one token.
struct Target {
  char* half;  // of the page
  int token;   // in it
};

__device__ Target target_of(const KvBlocks& cache, int slot, int kv_head, bool is_value) {
  char* page = page_of(cache, slot / cache.block_len, slot % cache.block_len, kv_head);
  return {page + (is_value ? cache.half_bytes : 0), slot % kPageLen};
}

template <class T, int kPerLane>
__device__ void store_floats(const Target& to, const float (&x)[kPerLane], int head_dim) {
  T* row = reinterpret_cast<T*>(to.half) + to.token * head_dim;
#pragma unroll
  for (int i = 0; i < kPerLane; i++) {
    const int c = lane_idx() + kWarpLen * i;
    if (c < head_dim) row[c] = from_float<T>(x[i]);
  }
}

template <int kPerLane>
__device__ void store_bytes(unsigned char* row, const int (&codes)[kPerLane], int head_dim) {
#pragma unroll
  for (int i = 0; i < kPerLane; i++) {
    const int c = lane_idx() + kWarpLen * i;
    if (c < head_dim) row[c] = static_cast<unsigned char>(codes[i]);
  }
}

// Eight lanes put their nibbles together; the lane whose nibble is the low one of a byte writes the byte.
template <int kPerLane>
__device__ void store_nibbles(unsigned char* row, const int (&codes)[kPerLane], int head_dim) {
#pragma unroll
  for (int i = 0; i < kPerLane; i++) {
    const int c = lane_idx() + kWarpLen * i, at = nibble_of(c, head_dim);
    unsigned word = static_cast<unsigned>(c < head_dim ? codes[i] : 0) << (at % 8 * 4);
    for (int distance = 1; distance < 8; distance *= 2) word |= __shfl_xor_sync(kWholeWarp, word, distance);
    if (c < head_dim && at % 2 == 0) row[at / 2] = static_cast<unsigned char>(word >> (at % 8 * 4));
  }
}

template <int kPerLane>
__device__ void store_codes(const KvBlocks& cache, const Target& to, const float (&x)[kPerLane]) {
  int codes[kPerLane];
  const CodeParameters parameters = quantize_head(x, cache.head_dim, cache.quant_bits, codes);
  __half* of_page = reinterpret_cast<__half*>(to.half);
  if (lane_idx() == 0) {
    of_page[to.token] = parameters.scale;
    of_page[kPageLen + to.token] = parameters.minimum;
  }
  unsigned char* row = reinterpret_cast<unsigned char*>(to.half) + kParameterBytes +
                       to.token * code_row_bytes(cache.head_dim, cache.quant_bits);
  if (cache.quant_bits == 8)
    store_bytes(row, codes, cache.head_dim);
  else
    store_nibbles(row, codes, cache.head_dim);
}

// What a warp does with one head of one token, its key or its value.
template <int kPerLane>
__device__ void store_head(const KvBlocks& cache, int slot, int kv_head, bool is_value,
                           float (&x)[kPerLane]) {
  const int d = cache.head_dim;
  if (cache.quant_bits == 4 && !is_value) {
    if (cache.key_centers != nullptr) {
      float center[kPerLane];
      load_head(center, cache.key_centers + kv_head * d, d);
#pragma unroll
      for (int i = 0; i < kPerLane; i++) x[i] -= center[i];
    }
    rotate_head(x, d);
  }
  const Target to = target_of(cache, slot, kv_head, is_value);
  if (cache.quant_bits != 0)
    store_codes(cache, to, x);
  else if (cache.dtype == DType::bf16)
    store_floats<__nv_bfloat16>(to, x, d);
  else if (cache.dtype == DType::f16)
    store_floats<__half>(to, x, d);
  else
    store_floats<float>(to, x, d);
}

template <int kPerLane>
__global__ void __launch_bounds__(kThreads)
    store_rows(const __grid_constant__ StoreKvArguments arguments, const __grid_constant__ KvBlocks cache) {
  const std::int64_t task = static_cast<std::int64_t>(blockIdx.x) * kWarps + threadIdx.x / kWarpLen;
  const std::int64_t row = task / (2 * cache.num_kv_heads);
  if (row >= arguments.num_rows) return;
  const int head = static_cast<int>(task % (2 * cache.num_kv_heads)), kv_head = head % cache.num_kv_heads;
  const bool is_value = head >= cache.num_kv_heads;
  const float* from =
      is_value ? arguments.v + row * arguments.v_stride : arguments.k + row * arguments.k_stride;
  float x[kPerLane];
  load_head(x, from + kv_head * cache.head_dim, cache.head_dim);
  store_head(cache, arguments.slots[row], kv_head, is_value, x);
}

template <class T>
__global__ void __launch_bounds__(kThreads)
    read_rows(const __grid_constant__ KvBlocks cache, const std::int32_t* slots, std::int64_t num_rows,
              float* y, std::int64_t y_stride) {
  const std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  const int width = cache.num_kv_heads * cache.head_dim;
  const std::int64_t row = i / width;
  if (row >= num_rows) return;
  const int column = static_cast<int>(i % width), d = cache.head_dim;
  const Target from = target_of(cache, slots[row], column / d, false);
  y[row * y_stride + column] = to_float(reinterpret_cast<const T*>(from.half)[from.token * d + column % d]);
}

}  // namespace

cudaError_t launch_store_kv(const StoreKvArguments& arguments, const KvBlocks& cache, cudaStream_t stream) {
  const std::int64_t num_tasks = arguments.num_rows * 2 * cache.num_kv_heads;
  if (num_tasks == 0) return cudaSuccess;
  const auto grid = static_cast<unsigned>(divide_up(num_tasks, kWarps));
  const int d = cache.head_dim;
  if (d <= 64)
    store_rows<2><<<grid, kThreads, 0, stream>>>(arguments, cache);
  else if (d <= 128)
    store_rows<4><<<grid, kThreads, 0, stream>>>(arguments, cache);
  else if (d <= 256)
    store_rows<8><<<grid, kThreads, 0, stream>>>(arguments, cache);
  else
    store_rows<kMaxHeadDim / kWarpLen><<<grid, kThreads, 0, stream>>>(arguments, cache);
  return cudaGetLastError();
}

cudaError_t launch_read_keys(const KvBlocks& cache, const std::int32_t* slots, std::int64_t num_rows,
                             float* y, std::int64_t y_stride, cudaStream_t stream) {
  const std::int64_t num_elements = num_rows * cache.num_kv_heads * cache.head_dim;
  if (num_elements == 0) return cudaSuccess;
  const auto grid = static_cast<unsigned>(divide_up(num_elements, kThreads));
  with_float_type(cache.dtype, [&]<class T>(T) {
    read_rows<T><<<grid, kThreads, 0, stream>>>(cache, slots, num_rows, y, y_stride);
  });
  return cudaGetLastError();
}

}  // namespace lmdeploy::ops::cuda
