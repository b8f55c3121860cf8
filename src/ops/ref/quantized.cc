#include "ops/ref/quantized.h"

#include <algorithm>
#include <cmath>

namespace lmdeploy::ops::ref {

Matrix dequantize(const Matrix& q, const Matrix& scales, const Matrix& zeros) {
  Matrix w(q.num_rows, q.num_columns);
  const std::int64_t group_size = q.num_columns / scales.num_columns;
  for (std::int64_t r = 0; r < q.num_rows; r++)
    for (std::int64_t c = 0; c < q.num_columns; c++)
      w.at(r, c) = (q.at(r, c) - zeros.at(r, c / group_size)) * scales.at(r, c / group_size);
  return w;
}

Matrix decode_e4m3(const Matrix& codes) {
  Matrix y(codes.num_rows, codes.num_columns);
  for (std::size_t i = 0; i < codes.values.size(); i++) {
    const int code = static_cast<int>(codes.values[i]), exponent = code / 8 % 16, mantissa = code % 8;
    const double magnitude =
        exponent == 0 ? std::ldexp(mantissa, -9) : std::ldexp(8 + mantissa, exponent - 7 - 3);
    y.values[i] = code >= 128 ? -magnitude : magnitude;
  }
  return y;
}

Matrix rounded_to_int8(const Matrix& x, std::int64_t group_size) {
  Matrix y(x.num_rows, x.num_columns);
  for (std::int64_t r = 0; r < x.num_rows; r++)
    for (std::int64_t begin = 0; begin < x.num_columns; begin += group_size) {
      double largest = 0;
      for (std::int64_t c = 0; c < group_size; c++) largest = std::max(largest, std::abs(x.at(r, begin + c)));
      if (largest == 0) continue;
      const float inverse = 127 / static_cast<float>(largest);
      for (std::int64_t c = 0; c < group_size; c++)
        y.at(r, begin + c) = std::nearbyint(static_cast<float>(x.at(r, begin + c)) * inverse) * largest / 127;
    }
  return y;
}

}  // namespace lmdeploy::ops::ref
