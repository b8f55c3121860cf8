#pragma once
// The layouts that compressed-tensors (llm-compressor) calls pack-quantized and int-quantized: an output's
// inputs follow each other, in words or in bytes.
#include "quant/quantized_rows.h"

namespace lmdeploy {

// A linear layer of n outputs and k inputs in groups of g, of 4 or 8 bits. Numbers are signed; those in words
// have 2^(bits - 1) added.
struct CompressedTensors {
  std::int32_t bits = 4;
  View weight;      // weight_packed [n, k * bits / 32, rounded up] i32, or weight [n, k] i8
  View scale;       // [n, k / g] f16, bf16 or f32
  View zero_point;  // [n * bits / 32, rounded up, k / g] i32, or [n, k / g] i8; empty: symmetric
};

// The outputs [first_output, first_output + r) as rows, and back. Unpacking may run for different outputs at
// the same time; packing too, where first_output is a multiple of 32 / bits.
void unpack_compressed(const CompressedTensors& tensors, std::int64_t first_output,
                       const QuantizedRows& rows);
void pack_compressed(const QuantizedRows& rows, std::int64_t first_output, const CompressedTensors& tensors);

}  // namespace lmdeploy
