#pragma once
// What lies in a quantised cache, read byte by byte. For tests.
#include "ops/kv_layer.h"
#include "ops/ref/reference.h"

namespace lmdeploy::ops::ref {

enum class Half { keys, values };

// One head of one token as the cache keeps it.
struct StoredRow {
  std::vector<int> codes;  // [head_dim], 0 .. 2^bits - 1
  double scale = 0;
  double minimum = 0;

  std::vector<double> values() const;
};
StoredRow stored_row(const KvLayer& cache, std::int64_t slot, std::int64_t head, Half half);

// Each head of each row times H D / sqrt(n), in blocks of n, the largest power of two in head_dim: signs D,
// then the Walsh-Hadamard matrix H_ij = (-1)^popcount(i & j). rotate_back undoes it.
Matrix rotate(const Matrix& x, std::int64_t head_dim);
Matrix rotate_back(const Matrix& x, std::int64_t head_dim);

}  // namespace lmdeploy::ops::ref
