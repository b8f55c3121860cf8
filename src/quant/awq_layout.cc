#include "quant/awq_layout.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "quant/packed_words.h"

namespace lmdeploy {
namespace {

constexpr std::int64_t kOutputsPerWord = 8;
// Of nibbles 0, 2, 4, 6 and of 1, 3, 5, 7.
constexpr std::array<std::int64_t, 4> kEvenOutputs{0, 4, 1, 5};
constexpr std::array<std::int64_t, 4> kOddOutputs{2, 6, 3, 7};

using Words = std::array<std::uint32_t, 8>;  // one word column of eight inputs
// Two blocks of 4 x 4 bytes side by side: inputs 0 to 3 in the lower halves, 4 to 7 in the upper ones.
// Before transposition a word has an input of each block and in its bytes four outputs, after it an output
// and in its bytes eight inputs, as the rows want them.
using Blocks = std::array<std::uint64_t, 4>;

void swap_corners(std::uint64_t& a, std::uint64_t& b, int shift, std::uint64_t low) {
  const std::uint64_t difference = ((a >> shift) ^ b) & low;
  a ^= difference << shift;
  b ^= difference;
}

// By swapping ever smaller blocks off the diagonal (Warren, Hacker's Delight, section 7-3).
void transpose(Blocks& blocks) {
  swap_corners(blocks[0], blocks[2], 16, 0x0000'ffff'0000'ffff);
  swap_corners(blocks[1], blocks[3], 16, 0x0000'ffff'0000'ffff);
  swap_corners(blocks[0], blocks[1], 8, 0x00ff'00ff'00ff'00ff);
  swap_corners(blocks[2], blocks[3], 8, 0x00ff'00ff'00ff'00ff);
}

// The nibbles from bit `shift` on of every byte, one after the other by output.
Blocks spread(const Words& words, int shift) {
  Blocks blocks;
  for (std::size_t i = 0; i < blocks.size(); i++)
    blocks[i] = ((words[i] | std::uint64_t{words[i + 4]} << 32) >> shift) & 0x0f0f'0f0f'0f0f'0f0f;
  transpose(blocks);
  return blocks;
}

void gather(Blocks blocks, int shift, Words& words) {
  transpose(blocks);
  for (std::size_t i = 0; i < blocks.size(); i++) {
    const std::uint64_t nibbles = blocks[i] << shift;
    words[i] |= static_cast<std::uint32_t>(nibbles);
    words[i + 4] |= static_cast<std::uint32_t>(nibbles >> 32);
  }
}

// words: [inputs, n / 8] i32; numbers: [r, inputs] u8 of the outputs from first_output on.
void unpack_words(const View& words, std::int64_t first_output, const View& numbers) {
  const std::int64_t num_inputs = words.dim(0), stride = numbers.row_stride;
  for (std::int64_t first_input = 0; first_input < num_inputs; first_input += 8) {
    const std::int64_t count = std::min<std::int64_t>(8, num_inputs - first_input);
    const std::int32_t* column = words.row<std::int32_t>(first_input) + first_output / kOutputsPerWord;
    auto* target = numbers.as<std::uint8_t>() + first_input;
    for (std::int64_t r = 0; r < numbers.dim(0); r += kOutputsPerWord, column++, target += 8 * stride) {
      Words tile{};
      for (std::int64_t i = 0; i < count; i++)
        tile[static_cast<std::size_t>(i)] = static_cast<std::uint32_t>(column[i * words.row_stride]);
      const Blocks even = spread(tile, 0), odd = spread(tile, 4);
      for (std::size_t i = 0; i < even.size(); i++) {
        store_bytes(even[i], count, target + kEvenOutputs[i] * stride);
        store_bytes(odd[i], count, target + kOddOutputs[i] * stride);
      }
    }
  }
}

void pack_words(const View& numbers, std::int64_t first_output, const View& words) {
  const std::int64_t num_inputs = words.dim(0), stride = numbers.row_stride;
  for (std::int64_t first_input = 0; first_input < num_inputs; first_input += 8) {
    const std::int64_t count = std::min<std::int64_t>(8, num_inputs - first_input);
    auto* column = words.row<std::int32_t>(first_input) + first_output / kOutputsPerWord;
    const auto* source = numbers.as<std::uint8_t>() + first_input;
    for (std::int64_t r = 0; r < numbers.dim(0); r += kOutputsPerWord, column++, source += 8 * stride) {
      Blocks even, odd;
      for (std::size_t i = 0; i < even.size(); i++) {
        even[i] = load_bytes(source + kEvenOutputs[i] * stride, count);
        odd[i] = load_bytes(source + kOddOutputs[i] * stride, count);
      }
      Words tile{};
      gather(even, 0, tile);
      gather(odd, 4, tile);
      for (std::int64_t i = 0; i < count; i++)
        column[i * words.row_stride] = static_cast<std::int32_t>(tile[static_cast<std::size_t>(i)]);
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
