#pragma once
// The instructions of sm_80 that the attention kernels are made of: matrix products, matrices of 8 x 8 16-bit
// elements, asynchronous copies. g = lane / 4 and t = lane % 4 below.
#include "ops/cuda/device_float.cuh"

namespace lmdeploy::ops::cuda {

__device__ inline unsigned shared_address(const void* p) {
  return static_cast<unsigned>(__cvta_generic_to_shared(p));
}

// Four matrices, whose rows of 16 bytes lie where lanes 0-7, 8-15, 16-23, 24-31 say. A lane gets elements
// [g][2t, 2t + 1] of each, transposed [2t, 2t + 1][g].
template <bool kTransposed>
__device__ void load_matrices(unsigned (&r)[4], unsigned row) {
  if constexpr (kTransposed)
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(row)
                 : "memory");
  else
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(row)
                 : "memory");
}

// One such matrix in registers, transposed.
__device__ inline unsigned transpose_matrix(unsigned r) {
  unsigned result;
  asm volatile("movmatrix.sync.aligned.m8n8.trans.b16 %0, %1;" : "=r"(result) : "r"(r));
  return result;
}

// c += a b, 16 x 16 times 16 x 8. Of a a lane holds [g][2t], [g + 8][2t], [g][2t + 8], [g + 8][2t + 8], each
// with its right neighbour; of b [2t][g] and [2t + 8][g], each with the element below; of c [g][2t], [g][2t +
// 1], [g + 8][2t], [g + 8][2t + 1].
template <class T>
__device__ void multiply_add(float (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
  if constexpr (std::is_same_v<T, __half>)
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
        "{%0, %1, %2, %3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
  else
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
        "{%0, %1, %2, %3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// Two floats rounded to T, the first in the low half.
template <class T>
__device__ unsigned pack_pair(float low, float high) {
  if constexpr (std::is_same_v<T, __half>) {
    const __half2 pair = __floats2half2_rn(low, high);
    return reinterpret_cast<const unsigned&>(pair);
  } else {
    const __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
    return reinterpret_cast<const unsigned&>(pair);
  }
}

// 16 bytes to shared memory, or 16 zeros. Visible to the thread after wait_copies, to others after a barrier.
__device__ inline void copy_async(unsigned to, const void* from, bool valid = true) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(from), "r"(valid ? 16 : 0)
               : "memory");
}
// Closes the group of the thread's copies so far; there may be none.
__device__ inline void commit_copies() {
  asm volatile("cp.async.commit_group;" ::: "memory");
}
// Until all groups but the last kPending are there.
template <int kPending>
__device__ void wait_copies() {
  asm volatile("cp.async.wait_group %0;" ::"n"(kPending) : "memory");
}

__device__ inline float fast_exp2(float x) {
  float result;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(result) : "f"(x));
  return result;
}

// A tile in shared memory: rows of kChunks pieces of 16 bytes, swizzled so that eight neighbouring rows'
// pieces of one index fall into different banks, and neighbouring pieces of a row too.
template <int kChunks>
struct SwizzledTile {
  static constexpr int kTwos = kChunks & -kChunks, kUnit = kTwos < 8 ? kTwos : 8;

  // Where a piece lies, in pieces.
  static __device__ int idx(int row, int chunk) {
    return row * kChunks + (chunk ^ (row * kUnit / 8 & (kUnit - 1)));
  }
  // The address of the piece that lies `rows` rows below and `chunks` pieces right of one that lies at
  // `address`, in a tile that is aligned to 128 bytes. rows: a multiple of 8; chunks: of a power of two above
  // the piece's.
  static __device__ unsigned moved(unsigned address, int rows, int chunks) {
    return (address ^ (chunks & (kUnit - 1)) * 16) + (rows * kChunks + (chunks & ~(kUnit - 1))) * 16;
  }
};

// Makes a value look new to the compiler, which else computes all that follows from it once, before a loop,
// and has no registers left.
__device__ inline void renew(unsigned& x) {
  asm volatile("" : "+r"(x));
}

}  // namespace lmdeploy::ops::cuda
