#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "checkpoint/quantization_config.h"
#include "tensor/dtype.h"

namespace lmdeploy {

// rope_scaling / rope_parameters, both spellings of transformers. Fields are empty where the file has none.
struct RopeConfig {
  std::string rope_type = "default";  // default, linear, dynamic, llama3, yarn
  double rope_theta = 10000;
  double factor = 1;
  std::optional<double> low_freq_factor, high_freq_factor;       // llama3
  std::optional<double> attention_factor, beta_fast, beta_slow;  // yarn
  std::optional<double> mscale, mscale_all_dim;                  // yarn
  std::optional<std::int64_t> original_max_position_embeddings;  // llama3, yarn
  bool truncate = true;                                          // yarn
};

// config.json of a decoder-only text model. Names are config.json's. Values are checked for sanity (positive
// counts, heads that divide), unknown fields warn, fields that change the arithmetic and are not honoured
// refuse.
struct HfConfig {
  std::string architecture;  // architectures[0], e.g. "LlamaForCausalLM"
  std::string model_type;
  DType dtype = DType::bf16;  // torch_dtype or dtype
  std::int64_t vocab_size = 0;
  std::int64_t hidden_size = 0;
  std::int64_t intermediate_size = 0;
  std::int64_t num_hidden_layers = 0;
  std::int64_t num_attention_heads = 0;
  std::int64_t num_key_value_heads = 0;
  std::int64_t head_dim = 0;
  std::int64_t max_position_embeddings = 0;
  double rms_norm_eps = 1e-6;
  bool tie_word_embeddings = false;
  std::optional<bool> attention_bias, mlp_bias, bias;  // bias: InternLM2's
  std::int64_t sliding_window = 0;                     // 0: none (also when use_sliding_window is false)
  RopeConfig rope;
  std::optional<QuantizationConfig> quantization;
  std::vector<std::int32_t> eos_token_id;  // as a list, possibly empty
  std::optional<std::int32_t> bos_token_id, pad_token_id;
};

// Throws Error: missing, not JSON, wrong types, refused values.
HfConfig load_hf_config(const std::filesystem::path& folder);
// The same after `overrides` (a JSON object, as --hf-overrides gives it) was merged in: objects field by
// field, null removes a field. Empty text overrides nothing.
HfConfig load_hf_config(const std::filesystem::path& folder, const std::string& overrides);
// From the text of a config.json; `origin` names it in errors.
HfConfig parse_hf_config(const std::string& text, const std::string& origin,
                         const std::string& overrides = {});

// generation_config.json; absent fields stay empty, an absent file is an empty struct.
struct GenerationConfig {
  std::optional<bool> do_sample;
  std::optional<double> temperature, top_p, min_p, typical_p, repetition_penalty;
  std::optional<std::int32_t> top_k, max_new_tokens, min_new_tokens;
  std::vector<std::int32_t> eos_token_id;
  std::optional<std::int32_t> bos_token_id, pad_token_id;
};
GenerationConfig load_generation_config(const std::filesystem::path& folder);
GenerationConfig parse_generation_config(const std::string& text, const std::string& origin);

}  // namespace lmdeploy
