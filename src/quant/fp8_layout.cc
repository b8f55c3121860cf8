#include "quant/fp8_layout.h"

#include <algorithm>
#include <cstring>

#include "quant/packed_words.h"

namespace lmdeploy {
namespace {

constexpr std::uint8_t kNan = 0x7f;  // without its sign

void check_shapes(const Fp8Tensors& tensors, std::int64_t first_output, const QuantizedRows& rows) {
  const std::int64_t n = tensors.weight.dim(0), k = tensors.weight.dim(1),
                     group_size = k / rows.scales.dim(1);
  const auto blocks = [](std::int64_t count, std::int64_t size) { return (count + size - 1) / size; };
  CHECK(first_output >= 0 && first_output + rows.q.dim(0) <= n, "outputs [{}, +{}) of {}", first_output,
        rows.q.dim(0), n);
  CHECK(rows.q.dim(1) == k, "{} inputs of {}", rows.q.dim(1), k);
  CHECK(group_size * rows.scales.dim(1) == k && tensors.block_inputs % group_size == 0,
        "groups of {} inputs in blocks of {}", group_size, tensors.block_inputs);
  CHECK(tensors.scale.shape == Shape({blocks(n, tensors.block_outputs), blocks(k, tensors.block_inputs)}),
        "scale {}", tensors.scale.shape.to_string());
}

}  // namespace

void unpack_fp8(const Fp8Tensors& tensors, std::int64_t first_output, const QuantizedRows& rows) {
  check_shapes(tensors, first_output, rows);
  const std::int64_t k = rows.q.dim(1), num_groups = rows.scales.dim(1), group_size = k / num_groups;
  for (std::int64_t r = 0; r < rows.q.dim(0); r++) {
    const std::int64_t output = first_output + r;
    std::memcpy(rows.q.row<std::uint8_t>(r), tensors.weight.row<f8_e4m3_t>(output),
                static_cast<std::size_t>(k));
    for (std::int64_t group = 0; group < num_groups; group++)
      rows.scales.row<float>(r)[group] =
          get_float(tensors.scale, output / tensors.block_outputs, group * group_size / tensors.block_inputs);
  }
}

std::int64_t find_nan_of_fp8(const std::uint8_t* numbers, std::int64_t k) {
  const auto is_nan = [](std::uint8_t number) { return (number & kNan) == kNan; };
  std::uint8_t any = 0;  // nearly always there is none: a loop without a branch
  for (std::int64_t i = 0; i < k; i++) any |= static_cast<std::uint8_t>(is_nan(numbers[i]));
  return any == 0 ? k : std::find_if(numbers, numbers + k, is_nan) - numbers;
}

}  // namespace lmdeploy
