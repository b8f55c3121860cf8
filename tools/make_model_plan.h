#pragma once
// Which tensors a model of random weights has, and what fills them.
#include <cstdint>
#include <vector>

#include "checkpoint/writer.h"
#include "make_model_weights.h"

namespace lmdeploy::make_model {

// Consecutive rows (outputs) of one of the model's matrices.
struct RowRange {
  std::uint64_t matrix_id = 0;  // the same whatever the layout calls it
  std::int64_t first_row = 0;
  std::int64_t num_rows = 0;
};

enum class Fill {
  values,      // [outputs, inputs] bf16 in [offset - spread, offset + spread]
  awq_words,   // [inputs, outputs / 8] i32: any eight numbers
  awq_zeros,   // [groups, outputs / 8] i32: 6 to 9
  awq_scales,  // [groups, outputs] f16 around spread
  fp8_values,  // [outputs, inputs] f8_e4m3: what `values` would be, times 448 / spread
  fp8_scales   // [blocks of outputs, blocks of inputs] f32: spread / 448
};

// A tensor of the file: rows of matrices. Those of AWQ have them side by side, as columns.
struct PlannedTensor {
  TensorSpec spec;
  Fill fill = Fill::values;
  std::vector<RowRange> rows;
  float offset = 0;
  float spread = 0;
};

std::vector<PlannedTensor> plan_tensors(const ModelShape& shape, const Form& form);

}  // namespace lmdeploy::make_model
