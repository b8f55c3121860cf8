#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "checkpoint/writer.h"
#include "quantize/quantized_linear.h"
#include "quantize/recipe.h"
#include "tensor/ctx.h"

namespace lmdeploy {

// A tensor on its way to a file.
struct FileTensor {
  std::string name;
  Tensor data;

  TensorSpec spec() const { return {name, data.dtype(), data.shape()}; }
};

// A rounded linear layer as the format's readers want it: `name`.qweight and so on.
std::vector<FileTensor> file_tensors(Ctx& ctx, const Recipe& recipe, const std::string& name,
                                     const QuantizedLinear& linear);

// A copy in another float dtype. source: [k] or [n, k].
FileTensor converted_tensor(Ctx& ctx, const std::string& name, const View& source, DType dtype);

// quantization_config of config.json. head: the module that stays as it is.
nlohmann::ordered_json quantization_config(const Recipe& recipe, const std::string& head);

}  // namespace lmdeploy
