#include "ops/cuda/chained_launch.cuh"
#include "ops/cuda/rotation.cuh"
#include "ops/cuda/store_kv_kernel.h"
#include "ops/cuda/stored_row.cuh"

namespace lmdeploy::ops::cuda {
namespace {

constexpr int kThreads = 128;  // few, so that the heads of one row are spread over many multiprocessors
constexpr int kWarps = kThreads / kWarpLen;
// At least. Named because the compiler else aims at 16, and has too few registers for all loads of a lane.
constexpr int kBlocksPerMultiprocessor = 4;

// The keys, or the values, of one head of one token.
struct Target {
  char* half;  // of the page
  int token;   // in it
};

__device__ Target target_of(const KvBlocks& cache, int slot, int kv_head, bool is_value) {
  char* page = page_of(cache, slot / cache.block_len, slot % cache.block_len, kv_head);
  return {page + (is_value ? cache.half_bytes : 0), slot % kPageLen};
}

// A head as rope leaves it; angles: [head_dim] cosines and sines. Each lane loads both elements of its pairs:
// the partner is another lane's where head_dim is no multiple of 64. Beyond the head's end it loads the last
// element again: behind a branch loads would wait for each other. All lanes have loaded when this returns, so
// the head may be overwritten.
template <int kPerLane>
__device__ void load_rotated_head(float (&x)[kPerLane], const float* from, const float* angles,
                                  int head_dim) {
  const int half = head_dim / 2;
  float own[kPerLane], partner[kPerLane], cosine[kPerLane], sine[kPerLane];
#pragma unroll
  for (int i = 0; i < kPerLane; i++) {
    const int c = min(lane_idx() + kWarpLen * i, head_dim - 1), j = c < half ? c : c - half;
    own[i] = from[c];
    partner[i] = from[c < half ? c + half : j];
    cosine[i] = angles[j];
    sine[i] = angles[j + half];
  }
  __syncwarp();
#pragma unroll
  for (int i = 0; i < kPerLane; i++) {
    const int c = lane_idx() + kWarpLen * i;
    x[i] = c < head_dim ? rotated(c < half, own[i], partner[i], cosine[i], sine[i]) : 0.0F;
  }
}

template <int kPerLane>
__device__ void store_head(const KvBlocks& cache, const Target& to, const float (&x)[kPerLane]) {
  const int d = cache.head_dim, begin = to.token * d;
  if (cache.quant_bits != 0) {
    __half* of_page = reinterpret_cast<__half*>(to.half);
    char* codes = to.half + kParameterBytes + to.token * code_row_bytes(d, cache.quant_bits);
    store_codes({codes, of_page + to.token, of_page + kPageLen + to.token}, x, d, cache.quant_bits);
  } else if (cache.dtype == DType::bf16) {
    store_floats(reinterpret_cast<__nv_bfloat16*>(to.half) + begin, x, d);
  } else if (cache.dtype == DType::f16) {
    store_floats(reinterpret_cast<__half*>(to.half) + begin, x, d);
  } else {
    store_floats(reinterpret_cast<float*>(to.half) + begin, x, d);
  }
}

// A warp for each head of each row: the queries', the keys' and the values' heads. One row's time is that of
// its loads, so all that do not need each other are under way at once; centres are weights and come before.
template <int kPerLane>
__global__ void __launch_bounds__(kThreads, kPerLane <= 8 ? kBlocksPerMultiprocessor : 0)
    store_rows(const __grid_constant__ StoreKvArguments arguments, const __grid_constant__ KvBlocks cache) {
  const int d = cache.head_dim;
  const std::int64_t row = blockIdx.x;
  const int head = static_cast<int>(blockIdx.y) * kWarps + static_cast<int>(threadIdx.x) / kWarpLen,
            key_head = head - arguments.num_heads, value_head = key_head - cache.num_kv_heads;
  const bool is_key = key_head >= 0 && value_head < 0, is_centered = is_key && cache.quant_bits == 4;
  float x[kPerLane], center[kPerLane] = {};
  if (is_centered && cache.key_centers != nullptr) load_head(center, cache.key_centers + key_head * d, d);
  enter_chain();
  if (value_head >= cache.num_kv_heads) return;
  const int slot = arguments.slots[row];
  float* query = arguments.q + row * arguments.q_stride + head * d;
  const float* from = key_head < 0 ? query
                      : is_key     ? arguments.k + row * arguments.k_stride + key_head * d
                                   : arguments.v + row * arguments.v_stride + value_head * d;
  if (value_head < 0 && arguments.table != nullptr)
    load_rotated_head(x, from, arguments.table + row * arguments.table_stride, d);
  else
    load_head(x, from, d);
  if (key_head < 0) return store_floats(query, x, d);
  if (is_centered) {
#pragma unroll
    for (int i = 0; i < kPerLane; i++) x[i] -= center[i];
    rotate_head(x, d);
  }
  store_head(cache, target_of(cache, slot, is_key ? key_head : value_head, !is_key), x);
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
  if (arguments.num_rows == 0) return cudaSuccess;
  const std::int64_t num_heads = arguments.num_heads + std::int64_t{2} * cache.num_kv_heads;
  const dim3 grid(static_cast<unsigned>(arguments.num_rows),
                  static_cast<unsigned>(divide_up(num_heads, kWarps)));
  const int d = cache.head_dim;
  const auto kernel = d <= 64    ? store_rows<2>
                      : d <= 128 ? store_rows<4>
                      : d <= 256 ? store_rows<8>
                                 : store_rows<kMaxHeadDim / kWarpLen>;
  return launch_chained(kernel, grid, dim3(kThreads), 0, stream, arguments, cache);
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
