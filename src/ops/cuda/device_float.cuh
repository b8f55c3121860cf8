#pragma once
// Floats of a type that is known at run time, for kernels.
#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>
#include <type_traits>

#include "tensor/dtype.h"

namespace lmdeploy::ops::cuda {

__host__ __device__ constexpr std::int64_t divide_up(std::int64_t a, std::int64_t b) {
  return (a + b - 1) / b;
}

// Calls f with a value of the type that holds elements of dtype: float, __nv_bfloat16 or __half. The op has
// checked that it is one of them.
template <class F>
void with_float_type(DType dtype, const F& f) {
  if (dtype == DType::bf16)
    f(__nv_bfloat16{});
  else if (dtype == DType::f16)
    f(__half{});
  else
    f(float{});
}

__device__ inline float to_float(float x) {
  return x;
}
__device__ inline float to_float(__nv_bfloat16 x) {
  return __bfloat162float(x);
}
__device__ inline float to_float(__half x) {
  return __half2float(x);
}

template <class T>
__device__ T from_float(float x) {
  if constexpr (std::is_same_v<T, __nv_bfloat16>)
    return __float2bfloat16_rn(x);
  else if constexpr (std::is_same_v<T, __half>)
    return __float2half_rn(x);
  else
    return x;
}

}  // namespace lmdeploy::ops::cuda
