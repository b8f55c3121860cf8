#include "ops/cuda/hopper_gemm_kernel.h"
#include "ops/cuda/hopper_gemm_sums.cuh"

namespace lmdeploy::ops::cuda {
namespace {

// Only code for sm_90a has static shared memory: by that the host knows it (runs_here).
template <class Shape>
__global__ void __launch_bounds__(kGemmThreads, 1)
    hopper_gemm([[maybe_unused]] const __grid_constant__ HopperGemm gemm) {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
  extern __shared__ char unaligned[];
  __shared__ std::uint64_t barrier_memory[GemmBarriers<Shape>::kCount];
  char* const shared = unaligned + (0U - shared_address(unaligned)) % kEightRowBytes;
  const GemmBarriers<Shape> barriers(barrier_memory);
  if (threadIdx.x == 0) {
    barriers.init();
    publish_barriers();
  }
  __syncthreads();
  const int warp = __shfl_sync(~0U, static_cast<int>(threadIdx.x) / 32, 0);
  if (warp < kGemmWarps) {
    take_registers<kProductRegisters>();
    GemmSums<Shape> sums(gemm, barriers, shared, warp);
    enter_chain();
    sums.compute_all();
  } else {
    give_registers<kBringRegisters>();
    enter_chain();
    GemmInputs<Shape>(gemm, barriers, shared_address(shared)).bring_all();
  }
#endif
}

// f(GemmShape) of m tokens of such a matrix, if there is one.
template <class F>
void with_gemm_shape(const QuantizedLayout& layout, int m, const F& f) {
  with_unit_shape(layout, [&]<class T, class Weights>(T, Weights) {
    if constexpr (Weights::kSlotAtoms == kLongSlotAtoms) {
      if (m <= 32)
        f(GemmShape<T, Weights, 32>{});
      else if (m <= 64)
        f(GemmShape<T, Weights, 64>{});
      else
        f(GemmShape<T, Weights, 128>{});
    }
  });
}

bool runs_here(void (*kernel)(HopperGemm)) {
  cudaFuncAttributes attributes{};
  return waits_for_predecessor(kernel) && cudaFuncGetAttributes(&attributes, kernel) == cudaSuccess &&
         attributes.sharedSizeBytes > 0;
}

}  // namespace

bool has_hopper_gemm(const QuantizedLayout& layout) {
  bool result = false;
  with_gemm_shape(layout, kMaxHopperTokens,
                  [&]<class Shape>(Shape) { result = runs_here(hopper_gemm<Shape>); });
  return result;
}

HopperGemmPlan plan_hopper_gemm(const QuantizedLayout& layout, int num_multiprocessors) {
  constexpr std::int64_t kMinSliceUnits = 4;  // below that more slices cost more than their CTAs bring
  const std::int64_t num_units = layout.padded_k() / (kLongSlotAtoms * kAtomInputs),
                     num_tiles = divide_up(layout.num_tiles(), kGemmWarps);
  std::int64_t slices = num_multiprocessors / num_tiles;
  if (slices > num_units / kMinSliceUnits) slices = num_units / kMinSliceUnits;
  if (slices < 1) slices = 1;
  HopperGemmPlan plan;
  plan.slice_units = static_cast<int>(divide_up(num_units, slices));
  plan.num_slices = static_cast<int>(divide_up(num_units, plan.slice_units));
  const std::int64_t ctas = num_multiprocessors / plan.num_slices;  // of each slice
  plan.num_ctas = plan.num_slices * static_cast<int>(ctas < num_tiles ? ctas : num_tiles);
  return plan;
}

cudaError_t launch_hopper_gemm(const QuantizedMatrixPointers& w, const QuantizedInputs& inputs,
                               const HopperGemmPlan& plan, float* partial, const LinearOutput& out,
                               cudaStream_t stream) {
  HopperGemm gemm{quantized_tiles(w), inputs, w.layout.n, plan.num_slices, plan.slice_units, out};
  if (plan.num_slices > 1) {
    gemm.out = {};
    gemm.out.y = partial;
    gemm.out.stride = w.layout.n;
  }
  cudaError_t status = cudaErrorInvalidValue;
  with_gemm_shape(w.layout, inputs.m, [&]<class Shape>(Shape) {
    status =
        launch_chained(hopper_gemm<Shape>, plan.num_ctas, kGemmThreads, Shape::kSharedBytes, stream, gemm);
  });
  return status;
}

}  // namespace lmdeploy::ops::cuda
