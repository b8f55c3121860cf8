#include "ops/cpu/simd_quantized_avx2.h"
// simd first: the kernels are written in its terms.
#include "ops/cpu/quantized_table.h"

namespace lmdeploy::ops::cpu {

constinit const QuantizedKernels kAvx2QuantizedKernels = make_quantized_kernels();

}  // namespace lmdeploy::ops::cpu
