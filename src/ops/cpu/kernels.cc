#include "ops/cpu/kernels.h"

#include "base/error.h"

namespace lmdeploy::ops::cpu {

const Kernels& kernels(CpuIsa isa) {
  switch (isa) {
    case CpuIsa::generic:
      return kGenericKernels;
    case CpuIsa::avx2:
      return kAvx2Kernels;
    case CpuIsa::avx512_bf16:
      return kAvx512Kernels;
  }
  CHECK(false, "no kernels for instruction set {}", static_cast<int>(isa));
  return kGenericKernels;
}

}  // namespace lmdeploy::ops::cpu
