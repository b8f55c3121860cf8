#include <algorithm>

#include "ops/cuda/block_reduce.cuh"
#include "ops/cuda/chained_launch.cuh"
#include "ops/cuda/group_grid.cuh"

namespace lmdeploy::ops::cuda {
namespace {

struct Smaller {
  __device__ float operator()(float a, float b) const { return b < a ? b : a; }
};

constexpr int kWarpsPerBlock = 8;

// A warp takes one group of one row.
template <class T>
__global__ void __launch_bounds__(kWarpsPerBlock* kWarpLen)
    scaled_rounding_errors(const WeightRows w, const float* scales, const GridRule rule, T* errors,
                           std::int64_t errors_stride) {
  enter_chain();
  const std::int64_t num_groups = w.k / rule.group_size,
                     idx = static_cast<std::int64_t>(blockIdx.x) * kWarpsPerBlock + warp_of_thread();
  if (idx >= w.n * num_groups) return;
  const std::int64_t row = idx / num_groups, first = idx % num_groups * rule.group_size;
  const float *from = w.data + row * w.stride + first, *by = scales + first;
  float low = 0, high = 0;
  for (std::int64_t i = lane_of_thread(); i < rule.group_size; i += kWarpLen) {
    const float scaled = from[i] * by[i];
    low = fminf(low, scaled);
    high = fmaxf(high, scaled);
  }
  const GroupGrid grid = make_grid(reduce_warp(low, Smaller{}), reduce_warp(high, Larger{}), rule);
  T* to = errors + row * errors_stride + first;
  for (std::int64_t i = lane_of_thread(); i < rule.group_size; i += kWarpLen)
    to[i] = from_float<T>(grid.value(grid.code(from[i] * by[i])) / by[i] - from[i]);
}

// Choosing clips. A warp takes a row of one group: it rounds the group's weights to each of the clipped grids
// and computes e G e^T for all of these errors e together, so that what is read of G serves ten products.
// Lane l has the columns l, l + 32, .. of G.
constexpr int kClipWarps = 4;
constexpr int kClipRows = 64;    // per block
constexpr int kErrorPitch = 12;  // errors of one weight: ten, in three vectors of four

template <int kColumns, bool kInShared>
struct GramReader {
  const float* gram;
  std::int64_t stride;  // kInShared: kColumns * 32
  std::int64_t group_size;

  __device__ float at(std::int64_t i, int column) const {
    if constexpr (kInShared) return gram[i * (kColumns * kWarpLen) + column];
    return column < group_size ? gram[i * stride + column] : 0;
  }
};

// The group's part of G, columns filled up with zeros.
template <int kColumns>
__device__ void load_gram(const float* gram, std::int64_t stride, int group_size, float* to) {
  constexpr int kWidth = kColumns * kWarpLen;
  for (int i = static_cast<int>(threadIdx.x); i < group_size * kWidth; i += kClipWarps * kWarpLen) {
    const int row = i / kWidth, column = i % kWidth;
    to[i] = column < group_size ? gram[row * stride + column] : 0;
  }
}

// The errors of the row's weights under each clip: errors[weight][clip].
template <int kColumns>
__device__ void round_to_clips(const float* weights, const ClipArguments& a, const GridRule& rule,
                               float* errors) {
  const int lane = lane_of_thread(), group_size = static_cast<int>(rule.group_size);
  float weight[kColumns], low = 0, high = 0;
#pragma unroll
  for (int c = 0; c < kColumns; c++) {
    const int i = lane + c * kWarpLen;
    weight[c] = i < group_size ? weights[i] : 0;
    low = fminf(low, weight[c]);
    high = fmaxf(high, weight[c]);
  }
  low = reduce_warp(low, Smaller{});
  high = reduce_warp(high, Larger{});
  const float share = a.shares[lane < kMaxClips ? lane : 0];
  const GroupGrid own = make_grid(__fmul_rn(low, share), __fmul_rn(high, share),
                                  rule);  // of the clip that is this lane's number
#pragma unroll
  for (int clip = 0; clip < kMaxClips; clip++) {
    const GroupGrid grid{__shfl_sync(kAllLanes, own.scale, clip), __shfl_sync(kAllLanes, own.zero, clip),
                         rule.max_code};
#pragma unroll
    for (int c = 0; c < kColumns; c++) {
      const int i = lane + c * kWarpLen;
      if (i < group_size) errors[i * kErrorPitch + clip] = grid.value(grid.code(weight[c])) - weight[c];
    }
  }
}

template <int kColumns, bool kInShared>
__device__ int best_clip(const GramReader<kColumns, kInShared>& gram, const float* errors) {
  const int lane = lane_of_thread(), group_size = static_cast<int>(gram.group_size);
  float product[kColumns][kMaxClips] = {};
  for (int i = 0; i < group_size; i++) {
    const auto* quads = reinterpret_cast<const float4*>(errors + i * kErrorPitch);
    const float4 a = quads[0], b = quads[1], c = quads[2];
    const float e[kMaxClips] = {a.x, a.y, a.z, a.w, b.x, b.y, b.z, b.w, c.x, c.y};
#pragma unroll
    for (int column = 0; column < kColumns; column++) {
      const float g = gram.at(i, lane + column * kWarpLen);
#pragma unroll
      for (int clip = 0; clip < kMaxClips; clip++) product[column][clip] += g * e[clip];
    }
  }
  int best = 0;
  float least = 0;
#pragma unroll
  for (int clip = 0; clip < kMaxClips; clip++) {
    float error = 0;
#pragma unroll
    for (int column = 0; column < kColumns; column++) {
      const int i = lane + column * kWarpLen;
      if (i < group_size) error += product[column][clip] * errors[i * kErrorPitch + clip];
    }
    error = reduce_warp(error, Add{});
    if (clip == 0 || error < least) {
      least = error;
      best = clip;
    }
  }
  return best;
}

// blockIdx: a group, some rows. Shared: the group's part of G where it is kept there, then each warp's
// errors.
template <int kColumns, bool kInShared>
__global__ void __launch_bounds__(kClipWarps* kWarpLen, 1)
    choose_clipping(const __grid_constant__ ClipArguments a, const __grid_constant__ GridRule rule) {
  extern __shared__ float4 shared[];
  enter_chain();
  auto* gram_copy = reinterpret_cast<float*>(shared);
  const int group_size = static_cast<int>(rule.group_size);
  const std::int64_t group = blockIdx.x, first = group * group_size;
  const float* gram = a.grams + first * a.grams_stride;
  float* errors = gram_copy + (kInShared ? group_size * kColumns * kWarpLen : 0) +
                  warp_of_thread() * group_size * kErrorPitch;
  if constexpr (kInShared) {
    load_gram<kColumns>(gram, a.grams_stride, group_size, gram_copy);
    __syncthreads();
  }
  const GramReader<kColumns, kInShared> reader{kInShared ? gram_copy : gram, a.grams_stride, group_size};
  const std::int64_t first_row = static_cast<std::int64_t>(blockIdx.y) * kClipRows,
                     end_row = min(a.w.n, first_row + kClipRows);
  for (std::int64_t row = first_row + warp_of_thread(); row < end_row; row += kClipWarps) {
    round_to_clips<kColumns>(a.w.data + row * a.w.stride + first, a, rule, errors);
    __syncwarp();
    const int best = best_clip(reader, errors);
    if (lane_of_thread() == 0) a.choices[row * a.choices_stride + group] = static_cast<std::uint8_t>(best);
    __syncwarp();
  }
}

template <int kColumns, bool kInShared>
cudaError_t launch_clips(const ClipArguments& a, const GridRule& rule, cudaStream_t stream) {
  const auto kernel = choose_clipping<kColumns, kInShared>;
  const auto group_size = static_cast<std::size_t>(rule.group_size);
  const std::size_t floats =
      (kInShared ? group_size * kColumns * kWarpLen : 0) + group_size * kErrorPitch * kClipWarps;
  const auto shared_bytes = static_cast<int>(floats * sizeof(float));
  const cudaError_t status =
      cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, shared_bytes);
  if (status != cudaSuccess) return status;
  const dim3 grid(static_cast<unsigned>(a.w.k / rule.group_size),
                  static_cast<unsigned>(divide_up(a.w.n, kClipRows)));
  return launch_chained(kernel, grid, kClipWarps * kWarpLen, static_cast<std::size_t>(shared_bytes), stream,
                        a, rule);
}

}  // namespace

cudaError_t launch_scaled_rounding_errors(const WeightRows& w, const float* scales, const GridRule& rule,
                                          const FloatRows& errors, cudaStream_t stream) {
  const std::int64_t num_warps = w.n * (w.k / rule.group_size);
  if (num_warps == 0) return cudaSuccess;
  cudaError_t status = cudaSuccess;
  with_float_type(errors.dtype, [&](auto type) {
    using T = decltype(type);
    status = launch_chained(
        scaled_rounding_errors<T>, static_cast<unsigned>(divide_up(num_warps, kWarpsPerBlock)),
        kWarpsPerBlock * kWarpLen, 0, stream, w, scales, rule, static_cast<T*>(errors.data), errors.stride);
  });
  return status;
}

cudaError_t launch_choose_clipping(const ClipArguments& arguments, const GridRule& rule,
                                   cudaStream_t stream) {
  if (arguments.w.n == 0 || arguments.w.k == 0) return cudaSuccess;
  if (rule.group_size <= 32) return launch_clips<1, true>(arguments, rule, stream);
  if (rule.group_size <= 64) return launch_clips<2, true>(arguments, rule, stream);
  if (rule.group_size <= 128) return launch_clips<4, true>(arguments, rule, stream);
  return launch_clips<8, false>(arguments, rule, stream);
}

}  // namespace lmdeploy::ops::cuda
