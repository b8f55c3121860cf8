// A stored layer's numbers, in whatever layout, as rows.
#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "checkpoint/stored_linear.h"
#include "quant/group_order.h"

namespace lmdeploy {
namespace {

void check_scales(const StoredLinear& layer, std::int64_t first_output, const View& scales) {
  for (std::int64_t r = 0; r < scales.dim(0); r++) {
    const float* row = scales.row<float>(r);
    const auto* bad =
        std::find_if_not(row, row + scales.dim(1), [](float scale) { return std::isfinite(scale); });
    if (bad != row + scales.dim(1))
      throw Error(fmt::format("{}: the scale of output {}, group {}, is {}", layer.name, first_output + r,
                              bad - row, *bad),
                  "The quantisation of this folder failed; quantise the model again.");
  }
}

void check_numbers(const StoredLinear& layer, std::int64_t first_output, const View& q) {
  for (std::int64_t r = 0; r < q.dim(0); r++) {
    const std::int64_t input = find_nan_of_fp8(q.row<std::uint8_t>(r), q.dim(1));
    if (input < q.dim(1))
      throw Error(fmt::format("{}: the weight of output {}, input {}, is not a number", layer.name,
                              first_output + r, input),
                  "The quantisation of this folder failed; quantise the model again.");
  }
}

}  // namespace

void StoredLinear::unpack(std::int64_t first_output, const QuantizedRows& rows) const {
  struct Unpack {
    std::int64_t first_output;
    const QuantizedRows& rows;
    void operator()(const AwqTensors& awq) const { unpack_awq(awq, first_output, rows); }
    void operator()(const GptqTensors& gptq) const { unpack_gptq(gptq, first_output, rows); }
    void operator()(const CompressedTensors& compressed) const {
      unpack_compressed(compressed, first_output, rows);
    }
    void operator()(const Fp8Tensors& fp8) const { unpack_fp8(fp8, first_output, rows); }
  };
  std::visit(Unpack{first_output, rows}, tensors);
  check_scales(*this, first_output, rows.scales);
  if (format.code == WeightCode::e4m3) check_numbers(*this, first_output, rows.q);
  if (!input_order.empty()) sort_inputs(input_order, rows);
}

}  // namespace lmdeploy
