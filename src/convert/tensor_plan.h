#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "checkpoint/gguf.h"
#include "checkpoint/hf_config.h"
#include "checkpoint/writer.h"
#include "convert/architectures.h"

namespace lmdeploy::convert {

// One tensor of the folder and where its rows come from.
struct PlannedTensor {
  const GgufTensor* source;
  TensorSpec target;  // bf16
  // Above 0: the rows are those of so many heads whose rope pairs are neighbours in the file and must become
  // two halves, as transformers rotates them.
  std::int64_t num_permuted_heads = 0;

  // The file's row that becomes row `row` of the target.
  std::int64_t source_row(std::int64_t row) const;
};

// Every tensor that the architecture's class has, in the model's order. Throws Error: one that is missing or
// has another shape than the configuration says, and one in the file that the class has no place for.
std::vector<PlannedTensor> plan_tensors(const GgufFile& file, const Architecture& architecture,
                                        const HfConfig& config);

}  // namespace lmdeploy::convert
