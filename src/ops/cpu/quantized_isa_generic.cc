#include "ops/cpu/simd_quantized_generic.h"
// simd first: the kernels are written in its terms.
#include "ops/cpu/quantized_table.h"

namespace lmdeploy::ops::cpu {

constinit const QuantizedKernels kGenericQuantizedKernels = make_quantized_kernels();

}  // namespace lmdeploy::ops::cpu
