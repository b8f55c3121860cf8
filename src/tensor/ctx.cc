#include "tensor/ctx.h"

#include <sys/syscall.h>
#include <unistd.h>

namespace lmdeploy {

const char* cpu_isa_name(CpuIsa isa) {
  switch (isa) {
    case CpuIsa::generic:
      return "x86-64";
    case CpuIsa::avx2:
      return "AVX2";
    case CpuIsa::avx512_bf16:
      return "AVX-512 bf16";
    case CpuIsa::amx_bf16:
      return "AMX bf16";
  }
  return "unknown";
}

namespace {

// Linux, Documentation/arch/x86/xstate.rst: without this the first use of a tile ends the process.
bool may_use_tiles() {
  constexpr long kRequestPermission = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILE_DATA
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

CpuIsa find_best_cpu_isa() {
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bf16")) {
    const bool tiles = __builtin_cpu_supports("amx-tile") && __builtin_cpu_supports("amx-bf16") &&
                       __builtin_cpu_supports("amx-int8");
    return tiles && may_use_tiles() ? CpuIsa::amx_bf16 : CpuIsa::avx512_bf16;
  }
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c"))
    return CpuIsa::avx2;
  return CpuIsa::generic;
}

}  // namespace

CpuIsa best_cpu_isa() {
  static const CpuIsa best = find_best_cpu_isa();
  return best;
}

}  // namespace lmdeploy
