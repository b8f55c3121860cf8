#pragma once
// How the numbers of a quantised matrix lie in memory. Like every packed matrix it is cut into blocks of 64
// outputs, and a block is one stream: span after span of inputs, each with its scales and zeros behind it.
//   span: [span_len / inputs_per_word][64] words, [64] scales, [64] zeros u8 of integers
//   word: 32 bits of one output: 8 inputs of 4 bits, or 4 of 8; input i lies in byte kInputByte[i % 4], the
//         inputs from 4 on in the upper halves of the bytes
// A span is a group, or an equal part of one of more than kMaxSpanLen inputs, so that a span's integer sums
// and its unpacked weights have a bound. A group is filled up to whole words; what x has there is zero.
#include <algorithm>

#include "ops/cpu/quantized_kernels.h"
#include "ops/packed_matrix.h"

namespace lmdeploy::ops::cpu {

struct QuantizedLayout {
  QuantFormat format;
  std::int64_t inputs_per_word;
  std::int64_t span_len;  // inputs
  std::int64_t spans_per_group;
  std::int64_t num_groups;

  QuantizedLayout(const QuantFormat& quant, std::int64_t k) : format(quant) {
    const auto divide_up = [](std::int64_t a, std::int64_t b) { return (a + b - 1) / b; };
    inputs_per_word = 32 / format.bits;
    const std::int64_t part_len = divide_up(format.group_size, divide_up(format.group_size, kMaxSpanLen));
    span_len = divide_up(part_len, inputs_per_word) * inputs_per_word;
    spans_per_group = divide_up(format.group_size, span_len);
    num_groups = k / format.group_size;
  }

  int code_idx() const { return format.code == WeightCode::e4m3 ? kE4m3Idx : bits_idx(format.bits); }
  std::int64_t num_spans() const { return num_groups * spans_per_group; }
  std::int64_t padded_group_len() const { return spans_per_group * span_len; }
  std::int64_t padded_k() const { return num_groups * padded_group_len(); }
  // Inputs of a group that fall into its span `part`.
  std::int64_t span_inputs(std::int64_t part) const {
    return std::min(span_len, format.group_size - part * span_len);
  }

  std::int64_t words_bytes() const { return span_len / inputs_per_word * kBlockColumns * 4; }
  std::int64_t scales_bytes() const {
    return kBlockColumns * static_cast<std::int64_t>(dtype_bytes(format.scale_dtype));
  }
  std::int64_t zeros_bytes() const { return format.code == WeightCode::integer ? kBlockColumns : 0; }
  std::int64_t span_bytes() const { return words_bytes() + scales_bytes() + zeros_bytes(); }
  std::int64_t block_bytes() const { return num_spans() * span_bytes(); }
};

// Row `row` of a quantised matrix as floats: (q - zero) * scale or q * scale. y: [k]
void unpack_quantized_row(const PackedMatrix& matrix, std::int64_t row, float* y);

}  // namespace lmdeploy::ops::cpu
