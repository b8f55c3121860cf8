#include "ops/cpu/simd_generic.h"
// simd first: the kernels are written in its terms.
#include "ops/cpu/kernel_table.h"

namespace lmdeploy::ops::cpu {

constinit const Kernels kGenericKernels = make_kernels();

}  // namespace lmdeploy::ops::cpu
