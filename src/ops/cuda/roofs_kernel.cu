#include "ops/cuda/device_float.cuh"
#include "ops/cuda/roofs_kernel.h"

namespace lmdeploy::ops::cuda {
namespace {

__global__ void fill_random(__nv_bfloat16* data, std::int64_t num_elements) {
  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < num_elements;
       i += step) {
    // The finaliser of MurmurHash3 (Appleby 2011).
    auto bits = static_cast<std::uint32_t>(i);
    bits = (bits ^ (bits >> 16)) * 0x85ebca6bU;
    bits = (bits ^ (bits >> 13)) * 0xc2b2ae35U;
    data[i] = from_float<__nv_bfloat16>(static_cast<float>(static_cast<std::int32_t>(bits)) * 0x1p-31F);
  }
}

constexpr int kReadThreads = 512, kReadsInFlight = 8;

__global__ void __launch_bounds__(kReadThreads)
    read_all(const uint4* data, std::int64_t count, unsigned* sink) {
  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * kReadThreads;
  unsigned sum = 0;
  std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * kReadThreads + threadIdx.x;
  for (; i + (kReadsInFlight - 1) * step < count; i += kReadsInFlight * step) {
    uint4 words[kReadsInFlight];
#pragma unroll
    for (int j = 0; j < kReadsInFlight; j++) words[j] = data[i + j * step];
#pragma unroll
    for (int j = 0; j < kReadsInFlight; j++) sum += words[j].x ^ words[j].y ^ words[j].z ^ words[j].w;
  }
  for (; i < count; i += step) sum += data[i].x;
  if (sum == 0x9e3779b9U) atomicAdd(sink, 0U);  // so that the compiler cannot leave the reads out
}

constexpr int kMmaThreads = 256, kMmaBlocksPerMultiprocessor = 2, kMmaChains = 8, kMmaRounds = 20'000;

// PTX ISA, "Matrix fragments for mma.m16n8k32".
__device__ void multiply_add(int (&sums)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
  asm volatile(
      "mma.sync.aligned.m16n8k32.row.col.s32.u8.s8.s32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%0, %1, %2, %3};"
      : "+r"(sums[0]), "+r"(sums[1]), "+r"(sums[2]), "+r"(sums[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

__global__ void __launch_bounds__(kMmaThreads) int8_multiply_adds(int* sink) {
  const unsigned seed = threadIdx.x * 0x9e3779b9U + 1;
  const unsigned a[4] = {seed, seed * 3, seed * 5, seed * 7}, b[2] = {seed * 11, seed * 13};
  int sums[kMmaChains][4] = {};
  for (int round = 0; round < kMmaRounds; round++)
#pragma unroll
    for (int chain = 0; chain < kMmaChains; chain++) multiply_add(sums[chain], a, b);
  int all = 0;
#pragma unroll
  for (int chain = 0; chain < kMmaChains; chain++)
    all ^= sums[chain][0] ^ sums[chain][1] ^ sums[chain][2] ^ sums[chain][3];
  if (all == 0x3c6ef372) atomicAdd(sink, 0);
}

}  // namespace

cudaError_t launch_fill_random(void* data, std::int64_t num_elements, cudaStream_t stream) {
  constexpr int kBlocks = 1024, kThreads = 256;
  fill_random<<<kBlocks, kThreads, 0, stream>>>(static_cast<__nv_bfloat16*>(data), num_elements);
  return cudaGetLastError();
}

cudaError_t launch_read(const void* data, std::int64_t bytes, int num_multiprocessors, unsigned* sink,
                        cudaStream_t stream) {
  constexpr int kBlocksPerMultiprocessor = 4;
  read_all<<<num_multiprocessors * kBlocksPerMultiprocessor, kReadThreads, 0, stream>>>(
      static_cast<const uint4*>(data), bytes / static_cast<std::int64_t>(sizeof(uint4)), sink);
  return cudaGetLastError();
}

cudaError_t launch_int8_multiply_adds(int num_multiprocessors, int* sink, double& num_ops,
                                      cudaStream_t stream) {
  const int num_blocks = num_multiprocessors * kMmaBlocksPerMultiprocessor;
  constexpr double kOpsPerMma = 2.0 * 16 * 8 * 32,
                   kMmasPerBlock = double{kMmaThreads} / 32 * kMmaRounds * kMmaChains;
  num_ops = num_blocks * kMmasPerBlock * kOpsPerMma;
  int8_multiply_adds<<<num_blocks, kMmaThreads, 0, stream>>>(sink);
  return cudaGetLastError();
}

}  // namespace lmdeploy::ops::cuda
