#pragma once
// Weights as floats of 8 bits (E4M3), one byte each, with scales for rectangles of them: what the formats fp8
// (DeepSeek, Qwen, transformers, AutoFP8) and float-quantized (llm-compressor) have in common.
#include "quant/quantized_rows.h"

namespace lmdeploy {

// A linear layer of n outputs and k inputs, w = weight * scale. Blocks at the lower and right edges may be
// smaller. A scale for each output is a block of 1 x k, one for the whole tensor a block of n x k.
struct Fp8Tensors {
  std::int64_t block_outputs = 1;
  std::int64_t block_inputs = 1;
  View weight;  // [n, k] f8_e4m3
  View scale;   // [n / block_outputs, k / block_inputs], both rounded up, f16, bf16 or f32
};

// The outputs [first_output, first_output + r) as rows; their groups divide the blocks. zeros are not
// written. Different outputs may be unpacked at the same time.
void unpack_fp8(const Fp8Tensors& tensors, std::int64_t first_output, const QuantizedRows& rows);

// The first input of a row of numbers that is NaN; k where none is.
std::int64_t find_nan_of_fp8(const std::uint8_t* numbers, std::int64_t k);

}  // namespace lmdeploy
