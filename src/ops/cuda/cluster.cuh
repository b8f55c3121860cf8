#pragma once
// Thread block clusters as sm_90's instructions have them (PTX ISA, "Parallel Synchronization:
// barrier.cluster", "mapa"). cooperative_groups hides the same behind what only nvcc knows. On older cards a
// block is its own cluster.
#include <cstdint>

namespace lmdeploy::ops::cuda {

// Blocks in the cluster of the calling one.
__device__ inline int cluster_size() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  unsigned size;
  asm volatile("mov.u32 %0, %%cluster_nctarank;" : "=r"(size));
  return static_cast<int>(size);
#else
  return 1;
#endif
}

// Of the calling block, in its cluster.
__device__ inline int cluster_rank() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  unsigned rank;
  asm volatile("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
  return static_cast<int>(rank);
#else
  return 0;
#endif
}

// Waits for all threads of the cluster; what they wrote before is seen by all.
__device__ inline void sync_cluster() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile("barrier.cluster.arrive.release;\n\tbarrier.cluster.wait.acquire;" ::: "memory");
#else
  __syncthreads();
#endif
}

// The same shared variable of another block of the cluster.
template <class T>
__device__ T& shared_of_rank(T& shared, int rank) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  std::uint64_t address;
  asm volatile("mapa.u64 %0, %1, %2;" : "=l"(address) : "l"(&shared), "r"(rank));
  return *reinterpret_cast<T*>(address);
#else
  static_cast<void>(rank);
  return shared;
#endif
}

}  // namespace lmdeploy::ops::cuda
