#include "ops/cuda/attention_decode.cuh"
#include "ops/cuda/attention_launch.cuh"

namespace lmdeploy::ops::cuda {
namespace {

constexpr int kMaxConcurrency = 4;
constexpr int kSharedBytesPerMultiprocessor = 208 << 10;  // of Hopper's 227 KiB

// A row of a split: the sums of its warps together.
template <class Shape>
__device__ void merge_warps(const AttentionArguments& a, const Sequence& seq, int kv_head, const float* sums,
                            const float2* row_weights, int num_rows) {
  constexpr int kHeadDim = Shape::Kv::kHeadDim;
  for (int i = static_cast<int>(threadIdx.x); i < num_rows * kHeadDim; i += static_cast<int>(blockDim.x)) {
    const int row = i / kHeadDim, c = i % kHeadDim;
    float max = -INFINITY, weight = 0, sum = 0;
#pragma unroll
    for (int w = 0; w < Shape::kWarps; w++) max = fmaxf(max, row_weights[w * Shape::kRows + row].x);
    const float base = max == -INFINITY ? 0.0F : max;
#pragma unroll
    for (int w = 0; w < Shape::kWarps; w++) {
      const int at = w * Shape::kRows + row;
      const float share = fast_exp2(row_weights[at].x - base);
      weight = fmaf(row_weights[at].y, share, weight);
      sum = fmaf(sums[at * Shape::kSumStride + c], share, sum);
    }
    if (a.num_splits == 1) {
      store_result(a.y, a.y_type, row_offset(a, seq, kv_head, row, a.y_stride) + c,
                   sum * inverse_weight(weight));
    } else {
      const std::int64_t to = part_row(a, seq, kv_head, static_cast<int>(blockIdx.x), row);
      a.part_sums[to * kHeadDim + c] = sum;
      if (c == 0) a.part_weights[to] = {max, weight};
    }
  }
}

template <class Shape>
struct QueryPlaces {
  typename Shape::Kv::Query* queries;
  QueryRow* rows;

  __device__ void operator()(int row, int c, typename Shape::Kv::Query element) const {
    queries[row * Shape::kQueryStride + c] = element;
  }
  __device__ void operator()(int row, const QueryRow& query_row) const { rows[row] = query_row; }
};

// Grid: splits, kv heads, sequences.
template <class Shape>
__global__ void __launch_bounds__(Shape::kWarps* kWarpLen)
    attend_split(const __grid_constant__ AttentionArguments a) {
  enter_chain();
  using Kv = typename Shape::Kv;
  extern __shared__ __align__(128) char shared[];
  auto* const queries = reinterpret_cast<typename Kv::Query*>(shared + Shape::kWarps * Shape::kWarpBytes);
  auto* const query_rows =
      reinterpret_cast<QueryRow*>(shared + Shape::kWarps * Shape::kWarpBytes + Shape::kQueryBytes);
  const Sequence seq = sequence_at(a, static_cast<int>(blockIdx.z));
  const int split = static_cast<int>(blockIdx.x), kv_head = static_cast<int>(blockIdx.y),
            warp = static_cast<int>(threadIdx.x) / kWarpLen, num_rows = seq.num_queries * a.group;
  if (!is_for_decode(a, seq) || split >= num_active_splits(a, seq)) return;

  SlabStream<Shape> slabs(a, seq, kv_head, split_pages(a, seq, split), shared + warp * Shape::kWarpBytes);
  prepare_queries<Kv, Shape::kRows / Shape::kWarps>(a, seq, kv_head, warp, Shape::kWarps, num_rows,
                                                    QueryPlaces<Shape>{queries, query_rows});
  __syncthreads();
  DecodeWarp<Shape> state(a, seq, queries, query_rows);
  int token;
  while (const char* stage = slabs.take(token)) state.add_slab(stage, token);
  __syncthreads();  // the stages are free
  float* const sums = reinterpret_cast<float*>(shared);
  float2* const row_weights =
      reinterpret_cast<float2*>(sums + Shape::kWarps * Shape::kRows * Shape::kSumStride);
  state.store(sums + warp * Shape::kRows * Shape::kSumStride, row_weights + warp * Shape::kRows);
  __syncthreads();
  merge_warps<Shape>(a, seq, kv_head, sums, row_weights, num_rows);
}

// Calls f with a DecodeShape.
template <class F>
void with_shape(const AttentionArguments& a, const F& f) {
  with_traits(a.cache, [&]<class Kv>(Kv) {
    if (a.max_decode_rows == 8)
      f(DecodeShape<Kv, 1>{});
    else
      f(DecodeShape<Kv, 2>{});
  });
}

}  // namespace

bool has_fast_attention(const KvBlocks& cache) {
  return with_traits(cache, [](auto) {});
}

int decode_concurrency(const AttentionArguments& a) {
  int count = 1;
  with_shape(a, [&]<class Shape>(Shape) { count = kSharedBytesPerMultiprocessor / Shape::kSharedBytes; });
  return count < kMaxConcurrency ? count : kMaxConcurrency;
}

cudaError_t launch_decode_attention(const AttentionArguments& a, cudaStream_t stream) {
  cudaError_t status = cudaErrorInvalidValue;
  with_shape(a, [&]<class Shape>(Shape) {
    const dim3 grid(static_cast<unsigned>(a.num_splits), static_cast<unsigned>(a.cache.num_kv_heads),
                    static_cast<unsigned>(a.num_seqs));
    status =
        launch_attention(attend_split<Shape>, grid, Shape::kWarps * kWarpLen, Shape::kSharedBytes, a, stream);
  });
  return status;
}

}  // namespace lmdeploy::ops::cuda
