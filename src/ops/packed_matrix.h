#pragma once
#include "tensor/ctx.h"

namespace lmdeploy::ops {

// The weights of a linear layer, y = x W^T, in the order in which the kernels of its device read them. One
// layout serves one row of x and many, so a weight is held once. CPU layout: [ceil(n / 64)][k /
// pair][64][pair], pair = 2 for bf16 and 1 otherwise; rows beyond n are zero.
struct PackedMatrix {
  DType dtype = DType::f32;  // f32, bf16, f16
  std::int64_t n = 0;        // outputs: rows of W
  std::int64_t k = 0;        // inputs: columns of W
  Tensor data;               // [>= bytes()] u8
  std::int64_t packed_bytes = 0;

  std::int64_t bytes() const { return packed_bytes; }  // what one pass over the matrix reads
};

// Room for an [n, k] matrix; every row must then be written by pack_rows.
PackedMatrix make_packed_matrix(Ctx& ctx, DType dtype, std::int64_t n, std::int64_t k);

// Writes source's rows [num_rows, k] (f32, bf16 or f16, converted where it differs) to rows
// [first_row, first_row + num_rows) of the packed matrix. The work is split over threads by blocks of 64
// rows: give it the rows of a whole tensor at once, beginning at a multiple of 64 where there is a choice.
void pack_rows(Ctx& ctx, const View& source, PackedMatrix& matrix, std::int64_t first_row);

}  // namespace lmdeploy::ops
