#include "ops/cpu/simd_quantized_avx512.h"
// simd first: the kernels are written in its terms.
#include "ops/cpu/bf16_dots.h"
#include "ops/cpu/quantized_table.h"

namespace lmdeploy::ops::cpu {

constinit const QuantizedKernels kAvx512QuantizedKernels = make_quantized_kernels();

}  // namespace lmdeploy::ops::cpu
