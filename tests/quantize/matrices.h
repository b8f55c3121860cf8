#pragma once
#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

#include "tensor/tensor.h"

namespace lmdeploy::testing {

// [rows, columns] f32 of the values given, row by row.
inline Tensor matrix_of(std::int64_t rows, std::int64_t columns, const std::vector<float>& values) {
  Tensor result(host_allocator(), DType::f32, {rows, columns});
  for (std::int64_t i = 0; i < rows * columns; i++)
    result.view().as<float>()[i] = values.at(static_cast<std::size_t>(i));
  return result;
}

// Normal values whose columns differ in size, as activations and weights do: by up to 2^spread.
inline Tensor random_matrix(std::int64_t rows, std::int64_t columns, unsigned seed, double spread = 0) {
  std::mt19937 rng(seed);
  std::normal_distribution<double> normal;
  std::uniform_real_distribution<double> exponent(0, spread);
  std::vector<double> sizes(static_cast<std::size_t>(columns));
  for (double& size : sizes) size = std::exp2(exponent(rng));
  Tensor result(host_allocator(), DType::f32, {rows, columns});
  for (std::int64_t i = 0; i < rows * columns; i++)
    result.view().as<float>()[i] =
        static_cast<float>(normal(rng) * sizes[static_cast<std::size_t>(i % columns)]);
  return result;
}

}  // namespace lmdeploy::testing
