// Quantised weights into the blocks of quantized_layout.h, and out of them.
#include <algorithm>
#include <cstring>

#include "ops/cpu/cpu_ops.h"
#include "ops/cpu/parallel.h"
#include "ops/cpu/quantized_layout.h"

namespace lmdeploy::ops::cpu {
namespace {

constexpr std::int64_t kTileWords = 16;  // words of a row that are written before the next row's: 4 KiB

// Eight inputs of 4 bits: four low halves of bytes, four high ones, then bytes 1 and 2 change places.
std::uint32_t word_of_4_bits(const std::uint8_t* q) {
  std::uint32_t low, high;
  std::memcpy(&low, q, sizeof low);
  std::memcpy(&high, q + 4, sizeof high);
  const std::uint32_t both = (low & 0x0f0f0f0fU) | (high & 0x0f0f0f0fU) << 4;
  return (both & 0xff0000ffU) | (both & 0xff00U) << 8 | (both >> 8 & 0xff00U);
}

std::uint32_t word_of_8_bits(const std::uint8_t* q) {
  std::uint32_t all;
  std::memcpy(&all, q, sizeof all);
  return (all & 0xff0000ffU) | (all & 0xff00U) << 8 | (all >> 8 & 0xff00U);
}

// `count` inputs of one row to every 64th word from `to`.
void pack_words(const std::uint8_t* q, std::int64_t count, std::int32_t bits, std::uint32_t* to) {
  const std::int64_t per_word = 32 / bits;
  const auto word = bits == 4 ? word_of_4_bits : word_of_8_bits;
  for (; count >= per_word; count -= per_word, q += per_word, to += kBlockColumns) *to = word(q);
  if (count == 0) return;
  std::uint8_t rest[8] = {};
  std::memcpy(rest, q, static_cast<std::size_t>(count));
  *to = word(rest);
}

void put_scale(float scale, DType dtype, char* to) {
  if (dtype == DType::f16) {
    const f16_t value = from_float<f16_t>(scale);
    std::memcpy(to, &value, sizeof value);
  } else if (dtype == DType::bf16) {
    const bf16_t value = from_float<bf16_t>(scale);
    std::memcpy(to, &value, sizeof value);
  } else {
    std::memcpy(to, &scale, sizeof scale);
  }
}

float get_scale(DType dtype, const char* from) {
  if (dtype == DType::f32) {
    float value;
    std::memcpy(&value, from, sizeof value);
    return value;
  }
  std::uint16_t bits;
  std::memcpy(&bits, from, sizeof bits);
  return dtype == DType::f16 ? to_float(f16_t{bits}) : to_float(bf16_t{bits});
}

// The rows of a source that fall into one block.
struct Part {
  std::int64_t source_row;
  std::int64_t num_rows;
  std::int64_t row_in_block;
};

// One span of those rows. `first_input`: where it begins in the source's rows.
void pack_span(const QuantizedLayout& layout, const QuantizedRows& source, const Part& part,
               std::int64_t first_input, char* span) {
  const std::int64_t group = first_input / layout.format.group_size,
                     tile_len = kTileWords * layout.inputs_per_word;
  const std::int64_t count = layout.span_inputs(first_input % layout.format.group_size / layout.span_len);
  auto* words = reinterpret_cast<std::uint32_t*>(span) + part.row_in_block;
  for (std::int64_t begin = 0; begin < count; begin += tile_len, words += kTileWords * kBlockColumns)
    for (std::int64_t r = 0; r < part.num_rows; r++)
      pack_words(source.q.row<std::uint8_t>(part.source_row + r) + first_input + begin,
                 std::min(tile_len, count - begin), layout.format.bits, words + r);
  const auto scale_bytes = static_cast<std::int64_t>(dtype_bytes(layout.format.scale_dtype));
  char* scales = span + layout.words_bytes() + part.row_in_block * scale_bytes;
  for (std::int64_t r = 0; r < part.num_rows; r++)
    put_scale(source.scales.row<float>(part.source_row + r)[group], layout.format.scale_dtype,
              scales + r * scale_bytes);
  if (layout.zeros_bytes() == 0) return;
  char* zeros = span + layout.span_bytes() - layout.zeros_bytes() + part.row_in_block;
  for (std::int64_t r = 0; r < part.num_rows; r++)
    zeros[r] = static_cast<char>(source.zeros.row<std::uint8_t>(part.source_row + r)[group]);
}

}  // namespace

void pack_quantized_rows(Ctx& ctx, const QuantizedRows& source, PackedMatrix& matrix,
                         std::int64_t first_row) {
  const QuantizedLayout layout(*matrix.format.quant, matrix.k);
  const std::int64_t end_row = first_row + source.q.dim(0), first_block = first_row / kBlockColumns;
  const std::int64_t num_blocks = (end_row + kBlockColumns - 1) / kBlockColumns - first_block;
  parallel_rows(ctx, num_blocks, kBlockColumns * matrix.k, [&](std::int64_t i) {
    const std::int64_t block = first_block + i;
    const std::int64_t begin = std::max(first_row, block * kBlockColumns);
    const std::int64_t end = std::min(end_row, (block + 1) * kBlockColumns);
    const Part part{begin - first_row, end - begin, begin - block * kBlockColumns};
    char* span = static_cast<char*>(matrix.data.view().data) + block * layout.block_bytes();
    for (std::int64_t group = 0; group < layout.num_groups; group++)
      for (std::int64_t s = 0; s < layout.spans_per_group; s++, span += layout.span_bytes())
        pack_span(layout, source, part, group * layout.format.group_size + s * layout.span_len, span);
  });
}

void unpack_quantized_row(const PackedMatrix& matrix, std::int64_t row, float* y) {
  const QuantizedLayout layout(*matrix.format.quant, matrix.k);
  const std::int32_t bits = layout.format.bits, mask = (1 << bits) - 1;
  const bool integers = layout.format.code == WeightCode::integer;
  const std::int64_t column = row % kBlockColumns;
  const auto scale_bytes = static_cast<std::int64_t>(dtype_bytes(layout.format.scale_dtype));
  const char* span =
      static_cast<const char*>(matrix.data.view().data) + row / kBlockColumns * layout.block_bytes();
  for (std::int64_t s = 0; s < layout.num_spans(); s++, span += layout.span_bytes()) {
    const float scale =
        get_scale(layout.format.scale_dtype, span + layout.words_bytes() + column * scale_bytes);
    const std::int32_t zero =
        integers ? static_cast<std::uint8_t>(span[layout.span_bytes() - layout.zeros_bytes() + column]) : 0;
    const std::int64_t count = layout.span_inputs(s % layout.spans_per_group);
    for (std::int64_t i = 0; i < count; i++) {
      const std::int64_t word = i / layout.inputs_per_word, in_word = i % layout.inputs_per_word;
      const char byte = span[(word * kBlockColumns + column) * 4 + kInputByte[in_word % 4]];
      const std::int32_t q = (static_cast<std::uint8_t>(byte) >> (in_word / 4 * bits)) & mask;
      *y++ = scale *
             (integers ? static_cast<float>(q - zero) : to_float(f8_e4m3_t{static_cast<std::uint8_t>(byte)}));
    }
  }
}

}  // namespace lmdeploy::ops::cpu
