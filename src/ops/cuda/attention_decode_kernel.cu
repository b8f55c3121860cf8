#include <algorithm>

#include "ops/cuda/attention_decode.cuh"
#include "ops/cuda/attention_merge.cuh"
#include "ops/cuda/attention_new_token.cuh"
#include "ops/cuda/chained_launch.cuh"

namespace lmdeploy::ops::cuda {
namespace {

// Where a CTA's queries come to lie.
template <class Shape>
struct QueryPlaces {
  using Query = typename Shape::Kv::Query;
  Query* queries;
  QueryRow* rows;

  // Rows from kRows on are those of warps that have no row to bring.
  __device__ void operator()(int row, int c, Query element) const {
    if (row >= Shape::kRows) return;
    Query* to = queries + DecodeLayout<Shape>::column_of(row) * Shape::kQueryStride + c;
    *to = element;
    if constexpr (Shape::kPerLane == 1) to[Shape::kQueryStride] = Query{};  // the column that is left empty
  }
  __device__ void operator()(int row, const QueryRow& query_row) const {
    if (row < Shape::kRows) rows[row] = query_row;
  }

  // By a warp: a row without a query.
  __device__ void clear(int row) const {
#pragma unroll
    for (int c = 0; c < Shape::Kv::kHeadDim; c += kWarpLen) (*this)(row, c + lane_idx(), Query{});
    if (lane_idx() == 0) (*this)(row, QueryRow{});
  }
};

// A CTA's shared memory: stages, queries, the step's token, what is known of each row of queries.
template <class Shape>
struct SharedPlaces {
  char* stages;
  QueryPlaces<Shape> queries;
  TokenStage<Shape> token;

  explicit __device__ SharedPlaces(char* shared)
      : SharedPlaces(shared, shared + num_warps() * Shape::kWarpBytes) {}

 private:
  __device__ SharedPlaces(char* shared, char* behind_stages)
      : stages(shared),
        queries{reinterpret_cast<typename Shape::Kv::Query*>(behind_stages),
                reinterpret_cast<QueryRow*>(behind_stages + Shape::kQueryBytes + Shape::kTokenBytes)},
        token(behind_stages + Shape::kQueryBytes) {}
};

// Brings this warp's share of the queries to shared memory, and with new tokens, which it waits for, the key
// (0) or the value (1) that it has to store; -1: none.
template <class Shape>
__device__ void prepare_rows(const AttentionArguments& a, const Sequence& seq, int kv_head, int token_half,
                             const SharedPlaces<Shape>& places) {
  using Kv = typename Shape::Kv;
  constexpr int kBatch = Shape::kRows / Shape::kFewestWarps;
  const int num_rows = seq.num_queries * a.group, warp = warp_idx();
  const bool has_new_token = a.new_tokens.keys != nullptr;
  NewToken<Shape> token(a, seq, kv_head, token_half);
  if (has_new_token) enter_chain();
  Angles<Kv::kHeadDim> angles;
  HeadPairs<Kv::kHeadDim> heads[kBatch];
  if (has_new_token) angles.load(a.new_tokens.angles + seq.first_row * a.new_tokens.angle_stride);
#pragma unroll
  for (int b = 0; b < kBatch; b++) {
    const int row = warp + b * num_warps();
    if (row < num_rows) heads[b].load(a.q + row_offset(a, seq, kv_head, row, a.q_stride));
  }
  token.load(a, seq, kv_head);
  QueryRows<Kv, kBatch> x = {};
#pragma unroll
  for (int b = 0; b < kBatch; b++)
    if (warp + b * num_warps() < num_rows)
      has_new_token ? angles.rotate(heads[b], x[b]) : heads[b].copy(x[b]);
  if (warp < num_rows) {
    put_queries<Kv, kBatch>(a, seq, x, warp, num_warps(), places.queries);
  } else {
#pragma unroll
    for (int b = 0; b < kBatch; b++) places.queries.clear(warp + b * num_warps());
  }
  token.put(a, angles, places.token);
}

// Grid: splits, kv heads, sequences.
//
// With new tokens, that is in a step of one query per sequence, all that is read before the wait was there
// before the step: tokens of earlier steps, and integers that were uploaded. A step begins with a transfer or
// as a graph, and neither is overtaken by kernels behind it or starts before all work ahead of it has ended;
// overlapped launches only reach back to that point. What the step's own kernels write, queries, angles, keys
// and values, is read behind the wait. Without new tokens an earlier kernel of the step has stored its keys,
// so everything waits.
template <class Shape>
__global__ void __launch_bounds__(Shape::kMostThreads, 2)
    attend_split(const __grid_constant__ AttentionArguments a) {
  extern __shared__ __align__(128) char shared[];
  const bool has_new_token = a.new_tokens.keys != nullptr;
  if (!has_new_token) enter_chain();
  const Sequence seq = sequence_at(a, static_cast<int>(blockIdx.z));
  const int split = static_cast<int>(blockIdx.x), kv_head = static_cast<int>(blockIdx.y),
            num_rows = seq.num_queries * a.group, num_splits = num_active_splits(a, seq);
  if (split >= num_splits) return;
  if (!is_for_decode(a, seq)) {
    if (has_new_token) enter_chain();
    return;
  }
  const SharedPlaces<Shape> places(shared);
  const int num_stored = seq.context_len - (has_new_token ? 1 : 0);
  SlabStream<Shape> slabs(a, seq, kv_head, split_pages(a, seq, split), num_stored,
                          places.stages + warp_idx() * Shape::kWarpBytes);
  const bool ends_with_token = has_new_token && split == num_splits - 1 && seq.context_len > 0;
  prepare_rows<Shape>(a, seq, kv_head, ends_with_token ? warp_idx() - (num_warps() - 2) : -1, places);
  __syncthreads();

  DecodeWarp<Shape> state(a, seq, places.queries.queries, places.queries.rows);
  int first;
  while (char* slab = slabs.take(first)) {
    if (has_new_token && first + Shape::kSlabLen >= seq.context_len)
      places.token.insert(slab, seq.context_len - 1 - first);
    state.add_slab(slab, first);
    slabs.release();
  }
  __syncthreads();  // the stages are free

  const WarpSums<Shape> sums(shared);
  state.store(sums.sums + warp_idx() * WarpSums<Shape>::kFloats,
              sums.row_weights + warp_idx() * Shape::kRows);
  __syncthreads();
  merge_warps<Shape>(a, seq, kv_head, split, num_splits, sums, num_rows);
  if (num_splits > 1 && is_last_split(a, seq, kv_head, num_splits))
    merge_splits<Shape>(a, seq, kv_head, num_splits, num_rows, sums);
}

// Calls f with a DecodeShape.
template <class F>
void with_shape(const AttentionArguments& a, const F& f) {
  with_traits(a.cache, [&]<class Kv>(Kv) {
    if (a.max_decode_rows == 4)
      f(DecodeShape<Kv, 4>{});
    else if (a.max_decode_rows == 8)
      f(DecodeShape<Kv, 8>{});
    else
      f(DecodeShape<Kv, kMaxDecodeRows>{});
  });
}

}  // namespace

bool has_fast_attention(const KvBlocks& cache) {
  return with_traits(cache, [](auto) {});
}

cudaError_t find_decode_widths(const AttentionArguments& a, std::size_t max_shared_bytes,
                               DecodeWidth (&widths)[2]) {
  cudaError_t status = cudaErrorInvalidValue;
  with_shape(a, [&]<class Shape>(Shape) {
    const int fitting =
        (static_cast<int>(max_shared_bytes) - Shape::kBytesOfAll) / static_cast<int>(Shape::kWarpBytes);
    const int most = std::max(Shape::kFewestWarps, std::min(Shape::kMostWarps, fitting));
    for (int i = 0; i < 2; i++) {
      const int num_warps = i == 0 ? Shape::kFewestWarps : most;
      const auto shared_bytes = static_cast<std::size_t>(Shape::shared_bytes(num_warps));
      widths[i] = {num_warps, 1, Shape::kSlabLen, Shape::kWarpBytes, num_warps * PartQuads<Shape>::kParts};
      KernelSettings settings;
      status = prepare_kernel(reinterpret_cast<const void*>(attend_split<Shape>), shared_bytes, settings);
      if (status == cudaSuccess)
        status = cudaOccupancyMaxActiveBlocksPerMultiprocessor(&widths[i].num_ctas, attend_split<Shape>,
                                                               num_warps * kWarpLen, shared_bytes);
      if (status != cudaSuccess) return;
      widths[i].num_ctas = std::max(widths[i].num_ctas, 1);
    }
  });
  return status;
}

cudaError_t launch_decode_attention(const AttentionArguments& a, cudaStream_t stream) {
  cudaError_t status = cudaErrorInvalidValue;
  with_shape(a, [&]<class Shape>(Shape) {
    const dim3 grid(static_cast<unsigned>(a.num_splits), static_cast<unsigned>(a.cache.num_kv_heads),
                    static_cast<unsigned>(a.num_seqs));
    status = launch_chained(attend_split<Shape>, grid, a.num_warps * kWarpLen,
                            static_cast<std::size_t>(Shape::shared_bytes(a.num_warps)), stream, a);
  });
  return status;
}

}  // namespace lmdeploy::ops::cuda
