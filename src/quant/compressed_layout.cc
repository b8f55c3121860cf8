#include "quant/compressed_layout.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "quant/packed_words.h"

namespace lmdeploy {
namespace {

// Signed 8-bit numbers as those of QuantizedRows, and back: 128 more.
std::uint8_t shifted(std::uint8_t number) {
  return number ^ 0x80U;
}

void unpack_row(const CompressedTensors& tensors, std::int64_t output, std::int64_t k, std::uint8_t* q) {
  if (tensors.weight.dtype == DType::i8) {
    const auto* numbers = reinterpret_cast<const std::uint8_t*>(tensors.weight.row<std::int8_t>(output));
    for (std::int64_t i = 0; i < k; i++) q[i] = shifted(numbers[i]);
    return;
  }
  const std::int64_t per_word = numbers_per_word(tensors.bits);
  const std::int32_t* words = tensors.weight.row<std::int32_t>(output);
  for (std::int64_t i = 0; i < k; i += per_word)
    unpack_word(static_cast<std::uint32_t>(words[i / per_word]), tensors.bits, std::min(per_word, k - i),
                q + i);
}

void pack_row(const std::uint8_t* q, std::int64_t k, std::int64_t output, const CompressedTensors& tensors) {
  if (tensors.weight.dtype == DType::i8) {
    auto* numbers = reinterpret_cast<std::uint8_t*>(tensors.weight.row<std::int8_t>(output));
    for (std::int64_t i = 0; i < k; i++) numbers[i] = shifted(q[i]);
    return;
  }
  const std::int64_t per_word = numbers_per_word(tensors.bits);
  std::int32_t* words = tensors.weight.row<std::int32_t>(output);
  for (std::int64_t i = 0; i < k; i += per_word)
    words[i / per_word] =
        static_cast<std::int32_t>(pack_word(q + i, tensors.bits, std::min(per_word, k - i)));
}

std::uint8_t get_zero(const CompressedTensors& tensors, std::int64_t output, std::int64_t group) {
  const View& zeros = tensors.zero_point;
  if (zeros.empty()) return static_cast<std::uint8_t>(1U << (tensors.bits - 1));
  if (zeros.dtype == DType::i8) {
    const auto signed_zero = static_cast<std::int32_t>(zeros.row<std::int8_t>(output)[group]);
    return static_cast<std::uint8_t>(signed_zero + (1 << (tensors.bits - 1)));
  }
  const std::int64_t per_word = numbers_per_word(tensors.bits);
  return get_number(zeros.row<std::int32_t>(output / per_word) + group, tensors.bits, output % per_word);
}

// The words of zeros run along the outputs.
void pack_zeros(const QuantizedRows& rows, std::int64_t first_output, const CompressedTensors& tensors) {
  const std::int64_t per_word = numbers_per_word(tensors.bits), num_rows = rows.q.dim(0);
  for (std::int64_t r = 0; r < num_rows; r += per_word)
    for (std::int64_t group = 0; group < rows.zeros.dim(1); group++) {
      std::array<std::uint8_t, 8> zeros{};
      const std::int64_t count = std::min(per_word, num_rows - r);
      for (std::int64_t j = 0; j < count; j++)
        zeros[static_cast<std::size_t>(j)] = rows.zeros.row<std::uint8_t>(r + j)[group];
      tensors.zero_point.row<std::int32_t>((first_output + r) / per_word)[group] =
          static_cast<std::int32_t>(pack_word(zeros.data(), tensors.bits, per_word));
    }
}

void check_shapes(const QuantizedRows& rows, std::int64_t first_output, const CompressedTensors& tensors) {
  const std::int64_t k = rows.q.dim(1), num_groups = rows.scales.dim(1), n = tensors.scale.dim(0);
  const bool bytes = tensors.weight.dtype == DType::i8;
  CHECK(tensors.bits == 8 || (tensors.bits == 4 && !bytes), "{} bits", tensors.bits);
  CHECK(first_output >= 0 && first_output + rows.q.dim(0) <= n, "outputs [{}, +{}) of {}", first_output,
        rows.q.dim(0), n);
  CHECK(tensors.weight.shape == Shape({n, bytes ? k : words_for(k, tensors.bits)}), "weight {}",
        tensors.weight.shape.to_string());
  CHECK(tensors.scale.dim(1) == num_groups, "scale {}", tensors.scale.shape.to_string());
  const bool zero_bytes = tensors.zero_point.dtype == DType::i8;
  CHECK(tensors.zero_point.empty() ||
            tensors.zero_point.shape == Shape({zero_bytes ? n : words_for(n, tensors.bits), num_groups}),
        "zero_point {}", tensors.zero_point.shape.to_string());
}

}  // namespace

void unpack_compressed(const CompressedTensors& tensors, std::int64_t first_output,
                       const QuantizedRows& rows) {
  check_shapes(rows, first_output, tensors);
  for (std::int64_t r = 0; r < rows.q.dim(0); r++) {
    unpack_row(tensors, first_output + r, rows.q.dim(1), rows.q.row<std::uint8_t>(r));
    for (std::int64_t group = 0; group < rows.scales.dim(1); group++) {
      rows.scales.row<float>(r)[group] = get_float(tensors.scale, first_output + r, group);
      rows.zeros.row<std::uint8_t>(r)[group] = get_zero(tensors, first_output + r, group);
    }
  }
}

void pack_compressed(const QuantizedRows& rows, std::int64_t first_output, const CompressedTensors& tensors) {
  check_shapes(rows, first_output, tensors);
  for (std::int64_t r = 0; r < rows.q.dim(0); r++) {
    pack_row(rows.q.row<std::uint8_t>(r), rows.q.dim(1), first_output + r, tensors);
    for (std::int64_t group = 0; group < rows.scales.dim(1); group++)
      set_float(tensors.scale, first_output + r, group, rows.scales.row<float>(r)[group]);
  }
  if (tensors.zero_point.empty()) return;
  CHECK(tensors.zero_point.dtype == DType::i32, "zeros are written in words");
  CHECK(first_output % numbers_per_word(tensors.bits) == 0, "first output {} lies inside a word of zeros",
        first_output);
  pack_zeros(rows, first_output, tensors);
}

}  // namespace lmdeploy
