#include "quant/awq_layout.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "quant/packed_words.h"

namespace lmdeploy {
namespace {

constexpr std::int64_t kOutputsPerWord = 8;
constexpr std::array<std::int64_t, 8> kOutputOfNibble{0, 2, 4, 6, 1, 3, 5, 7};

// 8 x 8 bytes. One word column of eight inputs, spread out, has an input in each word and an output in each
// byte; transposed, an output in each word, as the rows want it.
using Tile = std::array<std::uint64_t, 8>;

// Transposition by swapping ever smaller off-diagonal blocks (Warren, Hacker's Delight, section 7-3).
void transpose(Tile& tile) {
  constexpr std::array<std::uint64_t, 3> kLowHalves{0x0000'0000'ffff'ffff, 0x0000'ffff'0000'ffff,
                                                    0x00ff'00ff'00ff'00ff};
  std::size_t width = 4;
  for (const std::uint64_t low_half : kLowHalves) {
    const std::size_t shift = 8 * width;
    for (std::size_t i = 0; i < tile.size(); i++) {
      if ((i & width) != 0) continue;
      const std::uint64_t difference = ((tile[i] >> shift) ^ tile[i + width]) & low_half;
      tile[i] ^= difference << shift;
      tile[i + width] ^= difference;
    }
    width /= 2;
  }
}

// words: [inputs, n / 8] i32; numbers: [r, inputs] u8 of the outputs from first_output on.
void unpack_words(const View& words, std::int64_t first_output, const View& numbers) {
  const std::int64_t num_inputs = words.dim(0);
  for (std::int64_t first_input = 0; first_input < num_inputs; first_input += 8) {
    const std::int64_t count = std::min<std::int64_t>(8, num_inputs - first_input);
    for (std::int64_t r = 0; r < numbers.dim(0); r += kOutputsPerWord) {
      const std::int32_t* column =
          words.row<std::int32_t>(first_input) + (first_output + r) / kOutputsPerWord;
      Tile tile{};
      for (std::int64_t i = 0; i < count; i++)
        tile[static_cast<std::size_t>(i)] =
            spread_nibbles(static_cast<std::uint32_t>(column[i * words.row_stride]));
      transpose(tile);
      auto* target = numbers.row<std::uint8_t>(r) + first_input;
      for (std::size_t nibble = 0; nibble < tile.size(); nibble++)
        std::memcpy(target + kOutputOfNibble[nibble] * numbers.row_stride, &tile[nibble],
                    static_cast<std::size_t>(count));
    }
  }
}

void pack_words(const View& numbers, std::int64_t first_output, const View& words) {
  const std::int64_t num_inputs = words.dim(0);
  for (std::int64_t first_input = 0; first_input < num_inputs; first_input += 8) {
    const std::int64_t count = std::min<std::int64_t>(8, num_inputs - first_input);
    for (std::int64_t r = 0; r < numbers.dim(0); r += kOutputsPerWord) {
      const auto* source = numbers.row<std::uint8_t>(r) + first_input;
      Tile tile{};
      for (std::size_t nibble = 0; nibble < tile.size(); nibble++)
        std::memcpy(&tile[nibble], source + kOutputOfNibble[nibble] * numbers.row_stride,
                    static_cast<std::size_t>(count));
      transpose(tile);
      auto* column = words.row<std::int32_t>(first_input) + (first_output + r) / kOutputsPerWord;
      for (std::int64_t i = 0; i < count; i++)
        column[i * words.row_stride] =
            static_cast<std::int32_t>(gather_nibbles(tile[static_cast<std::size_t>(i)]));
    }
  }
}

void check_shapes(const QuantizedRows& rows, std::int64_t first_output, const AwqTensors& tensors) {
  const std::int64_t r = rows.q.dim(0), k = rows.q.dim(1), num_groups = rows.scales.dim(1);
  const std::int64_t n = tensors.scales.dim(1);
  CHECK(first_output % kOutputsPerWord == 0 && r % kOutputsPerWord == 0 && first_output + r <= n,
        "outputs [{}, +{}) of {}", first_output, r, n);
  CHECK(tensors.qweight.shape == Shape({k, n / kOutputsPerWord}), "qweight {}",
        tensors.qweight.shape.to_string());
  CHECK(tensors.scales.shape == Shape({num_groups, n}), "scales {}", tensors.scales.shape.to_string());
  CHECK(tensors.qzeros.empty() || tensors.qzeros.shape == Shape({num_groups, n / kOutputsPerWord}),
        "qzeros {}", tensors.qzeros.shape.to_string());
}

}  // namespace

void unpack_awq(const AwqTensors& tensors, std::int64_t first_output, const QuantizedRows& rows) {
  check_shapes(rows, first_output, tensors);
  unpack_words(tensors.qweight, first_output, rows.q);
  const std::int64_t num_groups = rows.scales.dim(1);
  for (std::int64_t group = 0; group < num_groups; group++)
    for (std::int64_t r = 0; r < rows.q.dim(0); r++)
      rows.scales.row<float>(r)[group] = get_float(tensors.scales, group, first_output + r);
  if (!tensors.qzeros.empty()) return unpack_words(tensors.qzeros, first_output, rows.zeros);
  for (std::int64_t r = 0; r < rows.q.dim(0); r++)
    std::memset(rows.zeros.row<std::uint8_t>(r), 8, static_cast<std::size_t>(num_groups));
}

void pack_awq(const QuantizedRows& rows, std::int64_t first_output, const AwqTensors& tensors) {
  check_shapes(rows, first_output, tensors);
  pack_words(rows.q, first_output, tensors.qweight);
  for (std::int64_t group = 0; group < rows.scales.dim(1); group++)
    for (std::int64_t r = 0; r < rows.q.dim(0); r++)
      set_float(tensors.scales, group, first_output + r, rows.scales.row<float>(r)[group]);
  pack_words(rows.zeros, first_output, tensors.qzeros);
}

}  // namespace lmdeploy
