#pragma once
#include <cstdint>

#include "base/thread_pool.h"
#include "tensor/workspace.h"

namespace lmdeploy {

class GraphCache;
namespace cuda {
class UploadRing;
}

enum class Device { cpu, cuda };

// Instruction sets that the CPU kernels are built for, best last. avx512_bf16 includes VNNI, which every
// processor with bf16 has. amx_bf16: the same, and matrices of bf16
// and int8 on tiles.
enum class CpuIsa { generic, avx2, avx512_bf16, amx_bf16 };

const char* cpu_isa_name(CpuIsa isa);  // "x86-64", "AVX2", "AVX-512 bf16", "AMX bf16"
// Of the machine that runs this. Asks the system for the use of tile registers, which it grants per process.
CpuIsa best_cpu_isa();

inline constexpr int kNumTickets = 4096;

// Where an op runs: passed to every op, never stored by one. One Ctx per engine thread.
struct Ctx {
  Device device = Device::cpu;
  CpuIsa cpu_isa = best_cpu_isa();
  ThreadPool* pool = nullptr;  // cpu
  // cuda: cudaStream_t. Without one a Ctx of a card plans: memory is taken, nothing is computed. (On the CPU
  // a pool that skips its loops does that.)
  void* stream = nullptr;
  Allocator* allocator = nullptr;  // memory of `device` that outlives a step
  Workspace* workspace = nullptr;  // memory of `device` for one step
  // cuda: one order of summation whatever is computed together, so that a sequence's results are bit-equal
  // alone and in any company. The CPU has no other.
  bool deterministic = false;
  GraphCache* graphs = nullptr;  // cuda: of steps that come again; null: every op is launched by itself
  cuda::UploadRing* uploads = nullptr;  // cuda: for the integers of steps; null: uploads wait for the stream
  // cuda: [kNumTickets] zeros in memory of the device, which kernels of the stream count with, and leave
  // zeros.
  std::uint32_t* tickets = nullptr;
};

}  // namespace lmdeploy
