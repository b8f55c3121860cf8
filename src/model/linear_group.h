#pragma once
// What quantisation must know of a decoder layer: which linear layers read the same activations, and what
// makes these.
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "tensor/tensor.h"

namespace lmdeploy {

// The activations that the linear layers of a decoder layer read.
enum class LinearInput : std::uint8_t { qkv, attention_output, gate_up, down };
inline constexpr std::size_t kNumLinearInputs = 4;

// Sees the rows that linear layers read: [m, k] of the weight dtype. False ends the layer there: for these
// rows the rest of it is not wanted.
using LinearObserver = std::function<bool(LinearInput input, const View& x)>;

// Linear layers with a common input. Dividing its channels where they are made and multiplying the layers'
// columns changes nothing (SmoothQuant section 4, AWQ section 3.2). Names stand below the layer's prefix,
// without ".weight".
struct LinearGroup {
  enum class Maker : std::uint8_t { none, norm, linear };

  LinearInput input;
  std::vector<std::string> linears;
  Maker maker = Maker::none;
  std::string maker_name = {};  // a norm, or a linear layer whose rows are the channels, one to one
};

}  // namespace lmdeploy
