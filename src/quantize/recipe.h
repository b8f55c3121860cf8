#pragma once
#include <cstdint>
#include <string>

#include "quant/group_grid.h"

namespace lmdeploy {

// How a quantised folder holds its weights.
enum class OutputFormat : std::uint8_t { awq, gptq, int8_per_token };

// What is done to every linear layer of a model.
struct Recipe {
  enum class Scaling : std::uint8_t {
    none,
    rule,    // LMDeploy's: from the largest activations and the weights' sizes
    search,  // AWQ's grid (Lin et al. 2023, section 3.2)
    smooth,  // SmoothQuant's, of what norms make
  };
  enum class Rounding : std::uint8_t {
    nothing,  // only the statistics of the activations are wanted
    nearest,
    gptq,
  };

  Scaling scaling = Scaling::rule;
  Rounding rounding = Rounding::nearest;
  OutputFormat format = OutputFormat::awq;
  std::int32_t bits = 4;
  std::int64_t group_size = 128;  // inputs that share a scale; -1: all of a layer's
  bool symmetric = false;
  DType scale_dtype = DType::f16;

  // Activations behind the layers quantised so far are looked at, beside those of the 16-bit model.
  bool needs_quantized_stream() const { return rounding == Rounding::gptq; }

  std::int64_t group_size_of(std::int64_t num_inputs) const {
    return group_size == -1 ? num_inputs : group_size;
  }
  RoundingOptions rounding_options(std::int64_t num_inputs) const {
    // GPTQ's first format stores zero - 1; readers differ on what the -1 of a zero of 0 means.
    const std::int32_t min_zero = format == OutputFormat::gptq ? 1 : 0;
    return {{bits, group_size_of(num_inputs)}, symmetric, scale_dtype, min_zero};
  }
};

}  // namespace lmdeploy
