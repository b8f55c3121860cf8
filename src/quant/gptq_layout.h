#pragma once
// GPTQ's layout (AutoGPTQ, GPTQModel): a word holds consecutive inputs of one output.
#include "quant/quantized_rows.h"

namespace lmdeploy {

// How qzeros holds a zero. The first version took 1 off each word's every number, as one subtraction from
// the whole word: a zero of 0 borrows from its neighbour, and adding the same to the word gives all of them
// back. Readers that add number by number see other zeros in such a word; without a zero of 0 all agree.
enum class GptqZeros : std::uint8_t { minus_one /* gptq */, as_they_are /* gptq_v2 */ };

// A linear layer of n outputs and k inputs in groups of g, of 4 or 8 bits; a word holds 32 / bits numbers. k
// is a multiple of that. With an act order (g_idx) the inputs stay in their own order, see group_order.h.
struct GptqTensors {
  std::int32_t bits = 4;
  GptqZeros stored_zeros = GptqZeros::minus_one;
  View qweight;  // [k * bits / 32, n] i32
  View scales;   // [k / g, n] f16, bf16 or f32
  View qzeros;   // [k / g, n * bits / 32, rounded up] i32
};

// The outputs [first_output, first_output + r) as rows, and back. Unpacking may run for different outputs at
// the same time; packing too, where first_output is a multiple of 32 / bits.
void unpack_gptq(const GptqTensors& tensors, std::int64_t first_output, const QuantizedRows& rows);
void pack_gptq(const QuantizedRows& rows, std::int64_t first_output, const GptqTensors& tensors);

}  // namespace lmdeploy
