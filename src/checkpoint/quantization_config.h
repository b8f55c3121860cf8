#pragma once
#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

namespace lmdeploy {

// How a folder's quantised linear layers are stored. Which layers those are, the tensors themselves say.
enum class WeightFormat : std::uint8_t {
  awq,              // quant/awq_layout.h
  gptq,             // quant/gptq_layout.h, zeros less one
  gptq_v2,          // the same, zeros as they are
  pack_quantized,   // compressed-tensors, quant/compressed_layout.h: words
  int_quantized,    // compressed-tensors: bytes
  float_quantized,  // compressed-tensors, quant/fp8_layout.h: floats of 8 bits (E4M3)
  fp8,              // the same of DeepSeek, Qwen, transformers, AutoFP8, FBGEMM
};
const char* weight_format_name(WeightFormat format);  // "AWQ", "GPTQ v2", ...
const char* model_format_name(WeightFormat format);   // as --model-format has it: "awq", "gptq", ...

// quantization_config of config.json, in the terms that all formats share.
struct QuantizationConfig {
  WeightFormat format = WeightFormat::awq;
  std::int32_t bits = 4;          // 4 or 8
  std::int64_t group_size = 128;  // inputs that share a scale; -1: all of an output's
  bool symmetric = false;         // every zero is 2^(bits - 1); of floats there are none
  // The model was made for activations in 8 bits, each token with a scale of its own.
  bool int8_activations = false;
  // Outputs that share a scale with whole groups of inputs. Where a whole row has one scale the tensors say
  // whether it is the whole tensor's.
  std::int64_t block_outputs = 1;

  bool holds_floats() const { return format == WeightFormat::float_quantized || format == WeightFormat::fp8; }
  bool operator==(const QuantizationConfig& other) const noexcept = default;
  std::string to_string() const;  // "AWQ, 4 bits, groups of 128"
};

// Throws Error: what would change the arithmetic and is not honoured, by name.
QuantizationConfig parse_quantization_config(const nlohmann::json& value, const std::string& origin);

// quantize_config.json (AutoGPTQ) or quant_config.json (AutoAWQ), where old versions of these programs put
// what config.json holds today.
std::optional<QuantizationConfig> find_old_quantization_config(const std::filesystem::path& folder);

}  // namespace lmdeploy
