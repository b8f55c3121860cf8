#include "quant/gptq_layout.h"

#include <algorithm>
#include <array>

#include "quant/packed_words.h"

namespace lmdeploy {
namespace {

// 1 for every number of a word, or nothing.
std::uint32_t taken_off(const GptqTensors& tensors) {
  if (tensors.stored_zeros == GptqZeros::as_they_are) return 0;
  return tensors.bits == 4 ? 0x1111'1111U : 0x0101'0101U;
}

void check_shapes(const QuantizedRows& rows, std::int64_t first_output, const GptqTensors& tensors) {
  const std::int64_t k = rows.q.dim(1), num_groups = rows.scales.dim(1), n = tensors.scales.dim(1);
  const std::int64_t per_word = numbers_per_word(tensors.bits);
  CHECK(tensors.bits == 4 || tensors.bits == 8, "{} bits", tensors.bits);
  CHECK(first_output >= 0 && first_output + rows.q.dim(0) <= n, "outputs [{}, +{}) of {}", first_output,
        rows.q.dim(0), n);
  CHECK(k % per_word == 0 && tensors.qweight.shape == Shape({k / per_word, n}), "qweight {}",
        tensors.qweight.shape.to_string());
  CHECK(tensors.scales.shape == Shape({num_groups, n}), "scales {}", tensors.scales.shape.to_string());
  CHECK(tensors.qzeros.shape == Shape({num_groups, words_for(n, tensors.bits)}), "qzeros {}",
        tensors.qzeros.shape.to_string());
}

}  // namespace

void unpack_gptq(const GptqTensors& tensors, std::int64_t first_output, const QuantizedRows& rows) {
  check_shapes(rows, first_output, tensors);
  const std::int64_t per_word = numbers_per_word(tensors.bits), num_rows = rows.q.dim(0);
  auto* q = rows.q.as<std::uint8_t>();
  for (std::int64_t i = 0; i < tensors.qweight.dim(0); i++) {
    const std::int32_t* words = tensors.qweight.row<std::int32_t>(i) + first_output;
    for (std::int64_t r = 0; r < num_rows; r++)
      unpack_word(static_cast<std::uint32_t>(words[r]), tensors.bits, per_word,
                  q + r * rows.q.row_stride + i * per_word);
  }
  for (std::int64_t group = 0; group < rows.scales.dim(1); group++)
    for (std::int64_t r = 0; r < num_rows; r++) {
      const std::int64_t output = first_output + r;
      const std::int32_t* words = tensors.qzeros.row<std::int32_t>(group);
      const auto word = static_cast<std::int32_t>(static_cast<std::uint32_t>(words[output / per_word]) +
                                                  taken_off(tensors));
      rows.scales.row<float>(r)[group] = get_float(tensors.scales, group, output);
      rows.zeros.row<std::uint8_t>(r)[group] = get_number(&word, tensors.bits, output % per_word);
    }
}

void pack_gptq(const QuantizedRows& rows, std::int64_t first_output, const GptqTensors& tensors) {
  check_shapes(rows, first_output, tensors);
  const std::int64_t per_word = numbers_per_word(tensors.bits), num_rows = rows.q.dim(0);
  CHECK(first_output % per_word == 0, "first output {} lies inside a word of zeros", first_output);
  for (std::int64_t i = 0; i < tensors.qweight.dim(0); i++) {
    std::int32_t* words = tensors.qweight.row<std::int32_t>(i) + first_output;
    for (std::int64_t r = 0; r < num_rows; r++)
      words[r] = static_cast<std::int32_t>(
          pack_word(rows.q.row<std::uint8_t>(r) + i * per_word, tensors.bits, per_word));
  }
  for (std::int64_t group = 0; group < rows.scales.dim(1); group++) {
    for (std::int64_t r = 0; r < num_rows; r++)
      set_float(tensors.scales, group, first_output + r, rows.scales.row<float>(r)[group]);
    for (std::int64_t r = 0; r < num_rows; r += per_word) {
      std::array<std::uint8_t, 8> zeros{};
      const std::int64_t count = std::min(per_word, num_rows - r);
      for (std::int64_t j = 0; j < count; j++)
        zeros[static_cast<std::size_t>(j)] = rows.zeros.row<std::uint8_t>(r + j)[group];
      tensors.qzeros.row<std::int32_t>(group)[(first_output + r) / per_word] =
          static_cast<std::int32_t>(pack_word(zeros.data(), tensors.bits, per_word) - taken_off(tensors));
    }
  }
}

}  // namespace lmdeploy
