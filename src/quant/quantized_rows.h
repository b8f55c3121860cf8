#pragma once
// A quantised weight between a file and a kernel: plain numbers, one row per output, whatever format they
// came in and whatever layout they go to.
#include <cstdint>

#include "quant/weight_code.h"
#include "tensor/tensor.h"

namespace lmdeploy {

// w = (q - zero) * scale, or q * scale where q is a float of 8 bits, with one scale and one zero for
// `group_size` consecutive inputs of an output.
struct QuantFormat {
  std::int32_t bits = 4;                  // 4 or 8
  std::int64_t group_size = 128;          // inputs; divides k
  DType scale_dtype = DType::f32;         // what holds the scales exactly: f32, f16 or bf16
  WeightCode code = WeightCode::integer;  // e4m3 has 8 bits

  bool operator==(const QuantFormat& other) const noexcept = default;
};

// r rows of k inputs. Signed formats are shifted: q and zero by 2^(bits - 1).
struct QuantizedRows {
  View q;       // [r, k] u8: 0 .. 2^bits - 1, or the bits of f8_e4m3_t
  View scales;  // [r, k / group_size] f32
  View zeros;   // [r, k / group_size] u8; without a meaning, and perhaps empty, where the code is e4m3
};

}  // namespace lmdeploy
