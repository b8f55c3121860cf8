#pragma once
#include <span>

#include "checkpoint/stored_linear.h"
#include "model/row_move.h"
#include "ops/packed_matrix.h"

namespace lmdeploy {

// Brings rows of quantised layers from a file's layout into the kernels' one, slice by slice, with all
// threads: beside the matrix it needs kSliceBytes, whatever the layer's size.
class RowUnpacker {
 public:
  explicit RowUnpacker(Ctx& ctx) : ctx_(ctx) {}

  // The matrix has the layer's format.
  void pack(const StoredLinear& layer, std::span<const RowMove> moves, ops::PackedMatrix& matrix);

 private:
  static constexpr std::int64_t kSliceBytes = std::int64_t{8} << 20;

  void make_room(std::int64_t k, std::int64_t num_groups);
  QuantizedRows unpack(const StoredLinear& layer, std::int64_t first_row, std::int64_t num_rows);

  Ctx& ctx_;
  std::int64_t max_rows_ = 0;  // of a slice
  // In host memory.
  Tensor q_;       // [max_rows, more than k] u8
  Tensor scales_;  // [max_rows, num_groups] f32
  Tensor zeros_;   // [max_rows, num_groups] u8
  std::int64_t k_ = 0;
};

}  // namespace lmdeploy
