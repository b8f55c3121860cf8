#pragma once
// Four neighbouring elements of a row at a time: one access where the row is aligned to four of them, and the
// same elements one by one where it is not or where the row ends. So which thread adds up what never depends
// on the alignment.
#include "ops/cuda/device_float.cuh"

namespace lmdeploy::ops::cuda {

template <class T>
struct alignas(4 * sizeof(T)) Quad {
  T at[4];
};

// Whether a row pointer and the distance of rows keep whole quads of T aligned; the row's length must then be
// a multiple of 4 as well.
template <class T>
bool quads_aligned(const T* data, std::int64_t stride) {
  return reinterpret_cast<std::uintptr_t>(data) % sizeof(Quad<T>) == 0 && stride % 4 == 0;
}

// Elements [4i, 4i + 4) of a row of n, as floats; 0 beyond its end.
template <bool kAligned, class T>
__device__ float4 load_quad(const T* row, std::int64_t i, std::int64_t n) {
  if constexpr (kAligned) {
    const Quad<T> quad = reinterpret_cast<const Quad<T>*>(row)[i];
    return {to_float(quad.at[0]), to_float(quad.at[1]), to_float(quad.at[2]), to_float(quad.at[3])};
  } else {
    const T* from = row + 4 * i;
    const std::int64_t left = n - 4 * i;
    return {to_float(from[0]), left > 1 ? to_float(from[1]) : 0.0F, left > 2 ? to_float(from[2]) : 0.0F,
            left > 3 ? to_float(from[3]) : 0.0F};
  }
}

template <bool kAligned, class T>
__device__ void store_quad(T* row, std::int64_t i, std::int64_t n, float4 x) {
  const Quad<T> quad = {{from_float<T>(x.x), from_float<T>(x.y), from_float<T>(x.z), from_float<T>(x.w)}};
  if constexpr (kAligned) {
    reinterpret_cast<Quad<T>*>(row)[i] = quad;
  } else {
#pragma unroll
    for (int j = 0; j < 4; j++)
      if (4 * i + j < n) row[4 * i + j] = quad.at[j];
  }
}

}  // namespace lmdeploy::ops::cuda
