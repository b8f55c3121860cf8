#pragma once
#include <optional>

#include "quant/quantized_rows.h"
#include "tensor/ctx.h"

namespace lmdeploy::ops {

// How x meets quantised weights. Floats of 8 bits it meets as it is.
enum class Activations : std::uint8_t {
  as_they_are,     // x in its own dtype against q - zero or q, sums in f32, scaled per group: exact
  int8_per_group,  // x rounded to int8 with a scale per row and group of inputs: integer dot products, fast
  int8_per_row,    // the same with one scale per row: what W8A8 formats mean
};

struct MatrixFormat {
  DType dtype = DType::f32;               // of x, and of W where it is not quantised: f32, bf16, f16
  std::optional<QuantFormat> quant = {};  // empty: floats of dtype
  Activations activations = Activations::as_they_are;  // the packed bytes do not depend on it
};

// The weights of a linear layer, y = x W^T, in the order in which the kernels of its device read them. One
// layout serves one row of x and many, so a weight is held once. CPU layout of floats: [ceil(n / 64)][k /
// pair][64][pair], pair = 2 for bf16 and 1 otherwise; quantised: cpu/quantized_layout.h. Rows beyond n are
// zero. CUDA layout of floats: [n][k]; quantised: cuda/quantized_layout.h.
struct PackedMatrix {
  MatrixFormat format;
  std::int64_t n = 0;  // outputs: rows of W
  std::int64_t k = 0;  // inputs: columns of W
  Tensor data;         // [>= bytes()] u8
  std::int64_t packed_bytes = 0;

  DType dtype() const { return format.dtype; }
  std::int64_t bytes() const { return packed_bytes; }  // what one pass over the matrix reads
};

// What make_packed_matrix allocates on the device.
std::int64_t packed_matrix_bytes(Device device, const MatrixFormat& format, std::int64_t n, std::int64_t k);

// Room for an [n, k] matrix; every row must then be written by the function that goes with the format.
PackedMatrix make_packed_matrix(Ctx& ctx, const MatrixFormat& format, std::int64_t n, std::int64_t k);

// Each writes a source's rows, which lie in host memory whatever the device, to rows [first_row, first_row +
// num_rows) of the packed matrix. The work is split over threads by blocks of 64 rows: give it the rows of a
// whole tensor at once, beginning at a multiple of 64 where there is a choice.

// Floats into floats: source [num_rows, k] of f32, bf16 or f16, converted where it differs.
void pack_rows(Ctx& ctx, const View& source, PackedMatrix& matrix, std::int64_t first_row);
// Integers, or floats of 8 bits, into the same.
void pack_quantized_rows(Ctx& ctx, const QuantizedRows& source, PackedMatrix& matrix, std::int64_t first_row);
// Floats into integers, rounded to the nearest: the scale of a group spans its values and 0. A group with an
// infinity or NaN becomes NaN.
void quantize_rows(Ctx& ctx, const View& source, PackedMatrix& matrix, std::int64_t first_row);

}  // namespace lmdeploy::ops
