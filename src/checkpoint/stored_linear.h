#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "checkpoint/quantization_config.h"
#include "quant/awq_layout.h"
#include "quant/compressed_layout.h"
#include "quant/fp8_layout.h"
#include "quant/gptq_layout.h"

namespace lmdeploy {

// A linear layer as a quantised folder holds it: its tensors, mapped, their types and shapes checked against
// the configuration. It borrows from the checkpoint.
struct StoredLinear {
  // Where rows may be cut for unpack: several outputs share a word.
  static constexpr std::int64_t kOutputAlignment = 8;

  std::string name;  // without a suffix
  std::int64_t num_outputs = 0;
  QuantFormat format;  // a whole row is a group of k
  // The file's inputs in the order of the columns that unpack gives; empty: as they are (see group_order.h).
  std::vector<std::int32_t> input_order;
  std::vector<std::string> tensor_names;
  std::variant<AwqTensors, GptqTensors, CompressedTensors, Fp8Tensors> tensors;

  // Outputs [first_output, first_output + r) as rows, the inputs of a group side by side. first_output is a
  // multiple of kOutputAlignment, and so is r unless they are the last. Throws Error where a scale is not a
  // finite number, or a float of 8 bits not a number. Different outputs may be unpacked at the same time.
  void unpack(std::int64_t first_output, const QuantizedRows& rows) const;
};

// The layer of n outputs and k inputs; nullopt where the folder holds it as floats (X.weight). headers_only:
// the tensors' values are not there to be looked at, so that the order of the inputs is not known. Throws
// Error where a tensor is missing, has another type or shape than the configuration makes it, or does not fit
// it.
std::optional<StoredLinear> find_stored_linear(const Checkpoint& checkpoint, const QuantizationConfig& config,
                                               const std::string& name, std::int64_t n, std::int64_t k,
                                               bool headers_only = false);

}  // namespace lmdeploy
