#include "ops/cuda/attention_rows.cuh"

namespace lmdeploy::ops::cuda {
namespace {

constexpr int kThreads = 128;
constexpr int kMaxColumns = kMaxHeadDim / kThreads;  // of a thread

// Reads element c of a token's row as the cache holds it.
template <class T>
struct FloatRow {
  const T* row;

  __device__ FloatRow(const KvBlocks& cache, const char* half, int token)
      : row(reinterpret_cast<const T*>(half) + token * cache.head_dim) {}
  __device__ float operator[](int c) const { return to_float(row[c]); }
};
template <int kBits>
struct CodeRow {
  const unsigned char* row;
  float scale, minimum;
  int head_dim;

  __device__ CodeRow(const KvBlocks& cache, const char* half, int token)
      : row(reinterpret_cast<const unsigned char*>(half) + kParameterBytes +
            token * code_row_bytes(cache.head_dim, kBits)),
        scale(__half2float(reinterpret_cast<const __half*>(half)[token])),
        minimum(__half2float(reinterpret_cast<const __half*>(half)[kPageLen + token])),
        head_dim(cache.head_dim) {}
  __device__ float operator[](int c) const {
    if constexpr (kBits == 8) return fmaf(scale, static_cast<float>(row[c]), minimum);
    const int at = nibble_of(c, head_dim);
    return fmaf(scale, static_cast<float>(row[at / 2] >> (at % 2 * 4) & 15), minimum);
  }
};

// The last sequence that begins at or before a row, which is the one that has it.
__device__ int sequence_of(const AttentionArguments& a, int row) {
  int begin = 0, end = a.num_seqs;
  while (end - begin > 1) {
    const int middle = (begin + end) / 2;
    if (a.query_starts[middle] <= row)
      begin = middle;
    else
      end = middle;
  }
  return begin;
}

struct Shared {
  float query[kMaxHeadDim];
  float scores[kPageLen];  // then weights
};

__device__ void load_query(const AttentionArguments& a, const float* from, float* to) {
  const int d = a.cache.head_dim;
  if (a.cache.quant_bits != 4) {
    for (int c = static_cast<int>(threadIdx.x); c < d; c += kThreads) to[c] = from[c];
  } else if (threadIdx.x < kWarpLen) {
    float x[kMaxHeadDim / kWarpLen];
    load_head(x, from, d);
    rotate_head(x, d);
#pragma unroll
    for (int i = 0; i < kMaxHeadDim / kWarpLen; i++) {
      const int c = lane_idx() + kWarpLen * i;
      if (c < d) to[c] = x[i];
    }
  }
}

// Two threads to a token.
template <class Row>
__device__ void score_page(const AttentionArguments& a, const char* keys, int token, int position,
                           Shared& shared) {
  constexpr float kLog2E = 1.4426950408889634F;
  const int i = static_cast<int>(threadIdx.x) / 2;
  const bool visible = is_visible(a, token + i, position);
  float dot = 0;
  if (visible) {
    const Row key(a.cache, keys, i);
    for (int c = static_cast<int>(threadIdx.x) % 2; c < a.cache.head_dim; c += 2)
      dot = fmaf(shared.query[c], key[c], dot);
  }
  dot += __shfl_xor_sync(kWholeWarp, dot, 1);
  if (threadIdx.x % 2 == 0) shared.scores[i] = visible ? dot * a.scale * kLog2E : -INFINITY;
}

// One query and head: grid rows of q, query heads.
template <class Row>
__global__ void __launch_bounds__(kThreads) attend_row(const __grid_constant__ AttentionArguments a) {
  __shared__ Shared shared;
  const int row = static_cast<int>(blockIdx.x), head = static_cast<int>(blockIdx.y), d = a.cache.head_dim;
  const Sequence seq = sequence_at(a, sequence_of(a, row));
  const int position = seq.first_position() + row - seq.first_row, kv_head = head / a.group;
  load_query(a, a.q + row * a.q_stride + static_cast<std::int64_t>(head) * d, shared.query);
  float max = -INFINITY, weight = 0, sums[kMaxColumns] = {};
  for (int token = first_visible(a, position) / kPageLen * kPageLen; token <= position; token += kPageLen) {
    const char* page = page_of_token(a, seq, token, kv_head);
    __syncthreads();  // the query is there, the last page's weights are not needed any more
    score_page<Row>(a, page, token, position, shared);
    __syncthreads();
    const float old_max = max;
    for (int i = 0; i < kPageLen; i++) max = fmaxf(max, shared.scores[i]);
    const float base = max == -INFINITY ? 0.0F : max, shrink = exp2f(old_max - base);
    weight *= shrink;
#pragma unroll
    for (int j = 0; j < kMaxColumns; j++) sums[j] *= shrink;
    for (int i = 0; i < kPageLen; i++) {
      if (!is_visible(a, token + i, position)) continue;
      const float w = exp2f(shared.scores[i] - base);
      weight += w;
      const Row value(a.cache, page + a.cache.half_bytes, i);
#pragma unroll
      for (int j = 0; j < kMaxColumns; j++) {
        const int c = static_cast<int>(threadIdx.x) + j * kThreads;
        if (c < d) sums[j] = fmaf(w, value[c], sums[j]);
      }
    }
  }
#pragma unroll
  for (int j = 0; j < kMaxColumns; j++) {
    const int c = static_cast<int>(threadIdx.x) + j * kThreads;
    if (c < d)
      store_result(a.y, a.y_type, row * a.y_stride + static_cast<std::int64_t>(head) * d + c,
                   sums[j] * inverse_weight(weight));
  }
}

}  // namespace

cudaError_t launch_generic_attention(const AttentionArguments& a, cudaStream_t stream) {
  const dim3 grid(static_cast<unsigned>(a.num_rows), static_cast<unsigned>(a.cache.num_kv_heads * a.group));
  if (a.cache.quant_bits == 8)
    attend_row<CodeRow<8>><<<grid, kThreads, 0, stream>>>(a);
  else if (a.cache.quant_bits == 4)
    attend_row<CodeRow<4>><<<grid, kThreads, 0, stream>>>(a);
  else
    with_float_type(a.cache.dtype,
                    [&]<class T>(T) { attend_row<FloatRow<T>><<<grid, kThreads, 0, stream>>>(a); });
  return cudaGetLastError();
}

}  // namespace lmdeploy::ops::cuda
