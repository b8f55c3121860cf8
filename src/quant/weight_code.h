#pragma once
// What the numbers of a quantised weight are. Apart from quantized_rows.h for kernels, which include no
// tensors.
#include <cstdint>

namespace lmdeploy {

enum class WeightCode : std::uint8_t {
  integer,  // of 4 or 8 bits, with a zero for each group
  e4m3,     // f8_e4m3_t (tensor/dtype.h), never NaN; no zeros
};

}  // namespace lmdeploy
