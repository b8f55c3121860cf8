#pragma once
// Barriers of Hopper in shared memory, and the bulk copies that arrive at them (PTX ISA, "mbarrier",
// "cp.async.bulk"). A barrier's phase ends when as many threads have arrived as it was made for, and all
// bytes that were announced have been copied. `barrier` is an address in shared memory.
#include <cuda.h>

#include "ops/cuda/warp_mma.cuh"

namespace lmdeploy::ops::cuda {

__device__ inline void init_barrier(unsigned barrier, int num_arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(barrier), "r"(num_arrivals) : "memory");
}
// Makes new barriers known to the copy engine; then the CTA's threads meet.
__device__ inline void publish_barriers() {
  asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
}
__device__ inline void arrive(unsigned barrier) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(barrier) : "memory");
}
__device__ inline void arrive_expecting(unsigned barrier, int num_bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier), "r"(num_bytes)
               : "memory");
}
// Until the phase of this parity has ended; a new barrier is in phase 0, and the one before counts as ended.
__device__ inline void wait_phase(unsigned barrier, unsigned parity) {
  asm volatile(
      "{\n"
      ".reg .pred ended;\n"
      "try_again:\n"
      "mbarrier.try_wait.parity.shared::cta.b64 ended, [%0], %1;\n"
      "@ended bra done;\n"
      "bra try_again;\n"
      "done:\n"
      "}" ::"r"(barrier),
      "r"(parity)
      : "memory");
}

// A ring of stages that are filled and emptied in turn.
template <int kStages>
struct StageRing {
  int stage = 0;
  unsigned parity = 0;  // of the phase in which the stage is filled this time

  __device__ void advance() {
    if (++stage < kStages) return;
    stage = 0;
    parity ^= 1;
  }
};

// Writes to shared memory so far come before what the copy engine and wgmma do there later.
__device__ inline void fence_async_accesses() {
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}

// One of a CTA's 16 barriers without memory, for num_threads of its threads; 0 is that of __syncthreads.
__device__ inline void sync_threads(int barrier, int num_threads) {
  asm volatile("bar.sync %0, %1;" ::"r"(barrier), "r"(num_threads) : "memory");
}
// Arrives without waiting.
__device__ inline void signal_threads(int barrier, int num_threads) {
  asm volatile("bar.arrive %0, %1;" ::"r"(barrier), "r"(num_threads) : "memory");
}

// A box of a tensor of five dimensions to shared memory, the innermost coordinate first.
__device__ inline void copy_box(unsigned to, const CUtensorMap& tensor, const int (&at)[5],
                                unsigned barrier) {
  asm volatile(
      "cp.async.bulk.tensor.5d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%2, %3, %4, "
      "%5, %6}], [%7];" ::"r"(to),
      "l"(&tensor), "r"(at[0]), "r"(at[1]), "r"(at[2]), "r"(at[3]), "r"(at[4]), "r"(barrier)
      : "memory");
}
// num_bytes, and both addresses: multiples of 16.
__device__ inline void copy_bulk(unsigned to, const void* from, int num_bytes, unsigned barrier) {
  asm volatile(
      "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(to),
      "l"(from), "r"(num_bytes), "r"(barrier)
      : "memory");
}

}  // namespace lmdeploy::ops::cuda
