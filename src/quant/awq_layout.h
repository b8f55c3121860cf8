#pragma once
// The layout that AutoAWQ calls GEMM: a word holds eight outputs of one input, in the order in which its GPU
// kernel takes them out in pairs.
#include "quant/quantized_rows.h"

namespace lmdeploy {

// A linear layer of n outputs and k inputs in groups of g; n is a multiple of 8. Nibble i of word c, in
// qweight and qzeros, is output 8c + (0, 2, 4, 6, 1, 3, 5, 7)[i].
struct AwqTensors {
  View qweight;  // [k, n / 8] i32
  View scales;   // [k / g, n] f16, bf16 or f32
  View qzeros;   // [k / g, n / 8] i32; empty: all zeros are 8
};

// The outputs [first_output, first_output + r) as rows of 4 bits, and back; first_output and r are multiples
// of 8. Calls for different outputs may run at the same time.
void unpack_awq(const AwqTensors& tensors, std::int64_t first_output, const QuantizedRows& rows);
void pack_awq(const QuantizedRows& rows, std::int64_t first_output, const AwqTensors& tensors);

}  // namespace lmdeploy
