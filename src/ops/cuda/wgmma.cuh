#pragma once
// Matrix products of a warpgroup, four neighbouring warps, on Hopper (PTX ISA, "Asynchronous Warpgroup Level
// Matrix Instructions"; code for sm_90a only). A product has 64 rows, 16 of each warp, and its sums lie as
// those of mma.m16n8k16: with g = lane / 4 and t = lane % 4 a lane has of tile n of eight columns
// sums[4 n + 2 e + i] = [g + 8 e][8 n + 2 t + i].
//
// Matrices in shared memory are tiles of rows of 128 bytes, whose 16-byte pieces are swizzled: piece p of row
// r lies at p ^ r % 8. Tiles are aligned to 1024 bytes.
#include "ops/cuda/warp_mma.cuh"

namespace lmdeploy::ops::cuda {

inline constexpr int kGroupThreads = 128;    // of a warpgroup
inline constexpr int kTileRowBytes = 128;    // of a tile in shared memory
inline constexpr int kTileRowElements = 64;  // of 16 bits
inline constexpr int kEightRowBytes = 1024;  // eight rows of a tile: the period of its swizzling

// Where piece `piece` of row `row` lies in a tile, in bytes.
__device__ inline int tile_offset(int row, int piece) {
  return row * kTileRowBytes + (piece ^ row % 8) * 16;
}

// A matrix in such tiles (PTX ISA, "Matrix Descriptor Format"). Its 16 (the dimension that is multiplied
// away) lie along the rows of a tile, and leading_bytes is not looked at; or down its columns, and
// leading_bytes lie between a tile and the next, which has the next 64 of the other dimension.
__device__ inline std::uint64_t describe_matrix(unsigned address, int leading_bytes) {
  constexpr std::uint64_t kSwizzle128 = std::uint64_t{1} << 62;
  return kSwizzle128 | std::uint64_t{kEightRowBytes / 16} << 32 |
         static_cast<std::uint64_t>(leading_bytes / 16) << 16 | (address / 16 & 0x3fff);
}
// The matrix that begins so many bytes further on.
__device__ inline std::uint64_t moved_matrix(std::uint64_t matrix, int bytes) {
  return matrix + static_cast<std::uint64_t>(bytes / 16);
}

// Before the first product, and where registers of one have been written since.
__device__ inline void begin_products() {
  asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}
// Closes the group of products so far.
__device__ inline void commit_products() {
  asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}
// Until all groups but the last kPending are done.
template <int kPending>
__device__ void wait_products() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(kPending) : "memory");
}
// The compiler moves nothing that uses these registers across: it does not know that products do.
template <int kLen>
__device__ __forceinline__ void pin(float (&x)[kLen]) {
#pragma unroll
  for (int i = 0; i < kLen; i++) asm volatile("" : "+f"(x[i])::"memory");
}
template <int kLen>
__device__ __forceinline__ void pin(unsigned (&x)[kLen]) {
#pragma unroll
  for (int i = 0; i < kLen; i++) asm volatile("" : "+r"(x[i])::"memory");
}

// What a compiler without Hopper's instructions makes of the kernels around them does not run.
#ifdef __CUDA_ARCH_FEAT_SM90_ALL

// Sums as operands of inline assembly, and as that names them.
#define LMDEPLOY_SUMS_8(c, i)                                                                 \
  "+f"(c[i]), "+f"(c[i + 1]), "+f"(c[i + 2]), "+f"(c[i + 3]), "+f"(c[i + 4]), "+f"(c[i + 5]), \
      "+f"(c[i + 6]), "+f"(c[i + 7])
#define LMDEPLOY_SUMS_16(c, i) LMDEPLOY_SUMS_8(c, i), LMDEPLOY_SUMS_8(c, i + 8)
#define LMDEPLOY_SUMS_32(c, i) LMDEPLOY_SUMS_16(c, i), LMDEPLOY_SUMS_16(c, i + 16)
#define LMDEPLOY_NAMES_16 "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15"
#define LMDEPLOY_NAMES_32 \
  LMDEPLOY_NAMES_16       \
  ", %16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31"
#define LMDEPLOY_NAMES_64                                                              \
  LMDEPLOY_NAMES_32                                                                    \
  ", %32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, " \
  "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"

// c = a b, or c += a b: a 64 x 16, b 16 x 128, both with their 16 in the rows of tiles.
template <class T>
__device__ __forceinline__ void multiply_matrices(float (&c)[64], std::uint64_t a, std::uint64_t b,
                                                  bool adds) {
  if constexpr (std::is_same_v<T, __half>)
    asm volatile(
        "{\n.reg .pred adds;\nsetp.ne.b32 adds, %66, 0;\n"
        "wgmma.mma_async.sync.aligned.m64n128k16.f32.f16.f16 {" LMDEPLOY_NAMES_64
        "}, %64, %65, adds, 1, 1, 0, 0;\n}"
        : LMDEPLOY_SUMS_32(c, 0), LMDEPLOY_SUMS_32(c, 32)
        : "l"(a), "l"(b), "r"(static_cast<int>(adds)));
  else
    asm volatile(
        "{\n.reg .pred adds;\nsetp.ne.b32 adds, %66, 0;\n"
        "wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 {" LMDEPLOY_NAMES_64
        "}, %64, %65, adds, 1, 1, 0, 0;\n}"
        : LMDEPLOY_SUMS_32(c, 0), LMDEPLOY_SUMS_32(c, 32)
        : "l"(a), "l"(b), "r"(static_cast<int>(adds)));
}

// c += a b: a 64 x 16 in registers as mma.m16n8k16 has it, b 16 x 128, 64 or 32 with its 16 in the columns of
// tiles, or in their rows.
template <class T, bool kInRows = false>
__device__ __forceinline__ void multiply_add(float (&c)[64], const unsigned (&a)[4], std::uint64_t b) {
  if constexpr (std::is_same_v<T, __half>)
    asm volatile("wgmma.mma_async.sync.aligned.m64n128k16.f32.f16.f16 {" LMDEPLOY_NAMES_64
                 "}, {%64, %65, %66, %67}, %68, 1, 1, 1, %69;"
                 : LMDEPLOY_SUMS_32(c, 0), LMDEPLOY_SUMS_32(c, 32)
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "n"(kInRows ? 0 : 1));
  else
    asm volatile("wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 {" LMDEPLOY_NAMES_64
                 "}, {%64, %65, %66, %67}, %68, 1, 1, 1, %69;"
                 : LMDEPLOY_SUMS_32(c, 0), LMDEPLOY_SUMS_32(c, 32)
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "n"(kInRows ? 0 : 1));
}
template <class T, bool kInRows = false>
__device__ __forceinline__ void multiply_add(float (&c)[32], const unsigned (&a)[4], std::uint64_t b) {
  if constexpr (std::is_same_v<T, __half>)
    asm volatile("wgmma.mma_async.sync.aligned.m64n64k16.f32.f16.f16 {" LMDEPLOY_NAMES_32
                 "}, {%32, %33, %34, %35}, %36, 1, 1, 1, %37;"
                 : LMDEPLOY_SUMS_32(c, 0)
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "n"(kInRows ? 0 : 1));
  else
    asm volatile("wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {" LMDEPLOY_NAMES_32
                 "}, {%32, %33, %34, %35}, %36, 1, 1, 1, %37;"
                 : LMDEPLOY_SUMS_32(c, 0)
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "n"(kInRows ? 0 : 1));
}
template <class T, bool kInRows = false>
__device__ __forceinline__ void multiply_add(float (&c)[16], const unsigned (&a)[4], std::uint64_t b) {
  if constexpr (std::is_same_v<T, __half>)
    asm volatile("wgmma.mma_async.sync.aligned.m64n32k16.f32.f16.f16 {" LMDEPLOY_NAMES_16
                 "}, {%16, %17, %18, %19}, %20, 1, 1, 1, %21;"
                 : LMDEPLOY_SUMS_16(c, 0)
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "n"(kInRows ? 0 : 1));
  else
    asm volatile("wgmma.mma_async.sync.aligned.m64n32k16.f32.bf16.bf16 {" LMDEPLOY_NAMES_16
                 "}, {%16, %17, %18, %19}, %20, 1, 1, 1, %21;"
                 : LMDEPLOY_SUMS_16(c, 0)
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "n"(kInRows ? 0 : 1));
}

#undef LMDEPLOY_NAMES_64
#undef LMDEPLOY_NAMES_32
#undef LMDEPLOY_NAMES_16
#undef LMDEPLOY_SUMS_32
#undef LMDEPLOY_SUMS_16
#undef LMDEPLOY_SUMS_8

// How many registers each thread of this warpgroup has from here on.
template <int kRegisters>
__device__ void take_registers() {
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(kRegisters));
}
template <int kRegisters>
__device__ void give_registers() {
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(kRegisters));
}

#endif

}  // namespace lmdeploy::ops::cuda
