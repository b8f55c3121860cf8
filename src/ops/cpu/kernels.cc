#include "ops/cpu/kernels.h"

#include "base/error.h"
#include "ops/cpu/quantized_kernels.h"

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

const QuantizedKernels& quantized_kernels(CpuIsa isa) {
  switch (isa) {
    case CpuIsa::generic:
      return kGenericQuantizedKernels;
    case CpuIsa::avx2:
      return kAvx2QuantizedKernels;
    case CpuIsa::avx512_bf16:
      return kAvx512QuantizedKernels;
  }
  CHECK(false, "no kernels for instruction set {}", static_cast<int>(isa));
  return kGenericQuantizedKernels;
}

}  // namespace lmdeploy::ops::cpu
