#include "ops/cpu/simd_avx512.h"
// simd first: the kernels are written in its terms.
#include "ops/cpu/kernel_table.h"

namespace lmdeploy::ops::cpu {

constinit const Kernels kAvx512Kernels = make_kernels();

}  // namespace lmdeploy::ops::cpu
