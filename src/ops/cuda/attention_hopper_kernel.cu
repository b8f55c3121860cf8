#include "ops/cuda/attention_hopper_kernel.h"
#include "ops/cuda/attention_hopper_rows.cuh"
#include "ops/cuda/attention_hopper_tiles.cuh"
#include "ops/cuda/chained_launch.cuh"

namespace lmdeploy::ops::cuda {
namespace {

// Grid: a CTA of each multiprocessor, that takes its units in turn. Only code for sm_90a has static shared
// memory: by that the host knows it (runs_here).
template <class Shape>
__global__ void __launch_bounds__(Shape::kThreads, 1)
    attend_rows_on_hopper([[maybe_unused]] const __grid_constant__ HopperArguments arguments) {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
  using Tiles = std::conditional_t<Shape::Kv::kQuantized, CodeTiles<Shape>, FloatTiles<Shape>>;
  extern __shared__ char unaligned[];
  __shared__ std::uint64_t barrier_memory[HopperBarriers::kCount];
  char* const shared = unaligned + (0U - shared_address(unaligned)) % kEightRowBytes;
  const HopperBarriers barriers(barrier_memory);
  if (threadIdx.x == 0) {
    barriers.init(Shape::Kv::kQuantized ? kGroupThreads : 1, Shape::kRowThreads / kWarpLen);
    publish_barriers();
  }
  __syncthreads();
  enter_chain();
  const int group = __shfl_sync(kWholeWarp, static_cast<int>(threadIdx.x) / kGroupThreads, 0);
  if (group == 0) {
    give_registers<Shape::kBringRegisters>();
    Tiles(arguments, barriers, shared).bring_all();
  } else {
    take_registers<Shape::kRowRegisters>();
    HopperRows<Shape> rows(arguments.attention, barriers, shared, group - 1);
    OwnUnits<Shape::kRows> units(arguments.attention);
    Unit unit;
    while (units.next(unit)) rows.attend(unit);
  }
#endif
}

// Calls f with the HopperShape for the cache, if there is one.
template <class F>
bool with_shape(const KvBlocks& cache, const F& f) {
  bool found = false;
  with_traits(cache, [&]<class Kv>(Kv) {
    if constexpr (Kv::kHeadDim == 64 || Kv::kHeadDim == 128) {
      f(HopperShape<Kv>{});
      found = true;
    }
  });
  return found;
}

bool runs_here(void (*kernel)(HopperArguments)) {
  cudaFuncAttributes attributes{};
  return waits_for_predecessor(kernel) && cudaFuncGetAttributes(&attributes, kernel) == cudaSuccess &&
         attributes.sharedSizeBytes > 0;
}

}  // namespace

bool has_hopper_attention(const KvBlocks& cache) {
  bool result = false;
  with_shape(cache, [&]<class Shape>(Shape) { result = runs_here(attend_rows_on_hopper<Shape>); });
  return result;
}

cudaError_t launch_hopper_attention(const AttentionArguments& a, const CUtensorMap& pages,
                                    cudaStream_t stream) {
  cudaError_t status = cudaErrorInvalidValue;
  with_shape(a.cache, [&]<class Shape>(Shape) {
    const std::int64_t num_units = max_units<Shape::kRows>(a);
    if (num_units == 0) {
      status = cudaSuccess;
      return;
    }
    const dim3 grid(
        static_cast<unsigned>(num_units < a.num_multiprocessors ? num_units : a.num_multiprocessors));
    status = launch_chained(attend_rows_on_hopper<Shape>, grid, Shape::kThreads, Shape::kSharedBytes, stream,
                            HopperArguments{pages, a});
  });
  return status;
}

}  // namespace lmdeploy::ops::cuda
