#pragma once
// Quantised linear layers again, slowly. See reference.h.
#include "ops/ref/reference.h"

namespace lmdeploy::ops::ref {

// (q - zero) * scale. q: [n, k]; scales and zeros: [n, k / group_size].
Matrix dequantize(const Matrix& q, const Matrix& scales, const Matrix& zeros);

// The numbers whose bits E4M3 these are, by the format's definition. codes: [n, k] of 0 .. 255, none of them
// NaN.
Matrix decode_e4m3(const Matrix& codes);

// x as int8 with one scale per row and `group_size` columns gives it back: round(x * (127 / m)) * (m / 127),
// m the largest |x| of the group, ties to even. The factor is applied in float, as the op says it: in double
// a tie would fall otherwise.
Matrix rounded_to_int8(const Matrix& x, std::int64_t group_size);

}  // namespace lmdeploy::ops::ref
