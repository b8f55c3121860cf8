#include "ops/cpu/kernels.h"

#include "base/error.h"
#include "ops/cpu/quantized_kernels.h"

namespace lmdeploy::ops::cpu {
namespace {

const Kernels& amx_kernels() {
  static const Kernels table = [] {
    Kernels k = kAvx512Kernels;
    k.matmul[dtype_idx(DType::bf16)] = multiply_on_tiles;
    k.bf16_tiles = true;
    k.multiply_adds = multiply_adds_on_tiles;
    return k;
  }();
  return table;
}

const QuantizedKernels& amx_quantized_kernels() {
  static const QuantizedKernels table = [] {
    QuantizedKernels k = kAvx512QuantizedKernels;
    k.int8_matmul[bits_idx(4)] = int8_multiply_on_tiles<4>;
    k.int8_matmul[bits_idx(8)] = int8_multiply_on_tiles<8>;
    k.int8_row_unit = kXTileRows;
    k.int8_multiply_adds = int8_multiply_adds_on_tiles;
    return k;
  }();
  return table;
}

}  // namespace

const Kernels& kernels(CpuIsa isa) {
  switch (isa) {
    case CpuIsa::generic:
      return kGenericKernels;
    case CpuIsa::avx2:
      return kAvx2Kernels;
    case CpuIsa::avx512_bf16:
      return kAvx512Kernels;
    case CpuIsa::amx_bf16:
      return amx_kernels();
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
    case CpuIsa::amx_bf16:
      return amx_quantized_kernels();
  }
  CHECK(false, "no kernels for instruction set {}", static_cast<int>(isa));
  return kGenericQuantizedKernels;
}

}  // namespace lmdeploy::ops::cpu
