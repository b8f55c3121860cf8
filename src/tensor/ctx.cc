#include "tensor/ctx.h"

namespace lmdeploy {

const char* cpu_isa_name(CpuIsa isa) {
  switch (isa) {
    case CpuIsa::generic:
      return "x86-64";
    case CpuIsa::avx2:
      return "AVX2";
    case CpuIsa::avx512_bf16:
      return "AVX-512 bf16";
  }
  return "unknown";
}

CpuIsa best_cpu_isa() {
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bf16"))
    return CpuIsa::avx512_bf16;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c"))
    return CpuIsa::avx2;
  return CpuIsa::generic;
}

}  // namespace lmdeploy
