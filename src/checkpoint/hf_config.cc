#include "checkpoint/hf_config.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/log.h"
#include "checkpoint/config_fields.h"
#include "checkpoint/json_fields.h"
#include "checkpoint/json_file.h"
#include "checkpoint/rope_config.h"
#include "checkpoint/window_config.h"

namespace lmdeploy {
namespace {

using nlohmann::json;

constexpr std::uint64_t kMaxConfigBytes = 16 << 20;

// Far above any real model, far below where products of two of them overflow.
constexpr JsonFields::IntRange kVocabulary{1, 1 << 26};
constexpr JsonFields::IntRange kWidth{1, 1 << 22};
constexpr JsonFields::IntRange kLayers{1, 4096};
constexpr JsonFields::IntRange kHeads{1, 1 << 16};
constexpr JsonFields::IntRange kHeadDim{2, 1 << 14};
constexpr JsonFields::IntRange kCount{0, (std::int64_t{1} << 31) - 1};
constexpr JsonFields::IntRange kContext{1, (std::int64_t{1} << 31) - 1};

// What transformers takes where config.json leaves a field out and its value is not derived from others.
struct Defaults {
  std::string_view model_type;
  std::int64_t num_key_value_heads;  // 0: num_attention_heads
  std::int64_t head_dim;             // 0: hidden_size / num_attention_heads
};
constexpr Defaults kDefaults[] = {{"mistral", 8, 0}, {"qwen2", 32, 0}, {"qwen3", 32, 128}};

Defaults defaults_of(const std::string& model_type) {
  for (const Defaults& row : kDefaults)
    if (row.model_type == model_type) return row;
  return {model_type, 0, 0};
}

DType parse_dtype(const JsonFields& config) {
  for (const char* field : {"dtype", "torch_dtype"}) {
    const std::optional<std::string> name = config.find_string(field);
    if (!name || *name == "auto") continue;
    for (const DType dtype : {DType::f32, DType::bf16, DType::f16})
      if (*name == dtype_name(dtype)) return dtype;
    config.wrong(field, "float32, bfloat16 or float16");
  }
  return DType::bf16;
}

void parse_identity(const JsonFields& config, HfConfig& result) {
  const auto architectures = config.find_strings("architectures");
  if (!architectures || architectures->empty())
    config.wrong("architectures", "a list with the name of the model's class");
  result.architecture = architectures->front();
  result.model_type = config.find_string("model_type").value_or("");
  result.dtype = parse_dtype(config);
}

void parse_sizes(const JsonFields& config, HfConfig& result) {
  const Defaults defaults = defaults_of(result.model_type);
  result.vocab_size = config.get_int("vocab_size", kVocabulary);
  result.hidden_size = config.get_int("hidden_size", kWidth);
  result.intermediate_size = config.get_int("intermediate_size", kWidth);
  result.num_hidden_layers = config.get_int("num_hidden_layers", kLayers);
  result.max_position_embeddings = config.get_int("max_position_embeddings", kContext);
  result.num_attention_heads = config.get_int("num_attention_heads", kHeads);
  const std::int64_t heads = result.num_attention_heads;

  result.num_key_value_heads =
      config.find_int("num_key_value_heads", kHeads)
          .value_or(defaults.num_key_value_heads == 0 ? heads : defaults.num_key_value_heads);
  if (heads % result.num_key_value_heads != 0)
    config.wrong("num_key_value_heads", fmt::format("a divisor of num_attention_heads = {}", heads));

  const std::optional<std::int64_t> head_dim = config.find_int("head_dim", kHeadDim);
  if (!head_dim && defaults.head_dim == 0 && result.hidden_size % heads != 0)
    config.wrong("num_attention_heads", fmt::format("a divisor of hidden_size = {}", result.hidden_size));
  result.head_dim =
      head_dim.value_or(defaults.head_dim == 0 ? result.hidden_size / heads : defaults.head_dim);
  if (result.head_dim % 2 != 0) config.wrong("head_dim", "even (rope turns pairs)");
}

HfConfig parse_object(const json& object, const std::string& origin) {
  check_config_fields(object, origin);
  const JsonFields config(object, origin);
  HfConfig result;
  parse_identity(config, result);
  parse_sizes(config, result);
  result.rms_norm_eps = config.find_positive("rms_norm_eps").value_or(result.rms_norm_eps);
  if (result.rms_norm_eps >= 1) config.wrong("rms_norm_eps", "below 1");
  result.tie_word_embeddings = config.find_bool("tie_word_embeddings").value_or(false);
  result.attention_bias = config.find_bool("attention_bias");
  result.mlp_bias = config.find_bool("mlp_bias");
  result.bias = config.find_bool("bias");
  result.sliding_window = parse_sliding_window(object, origin, result);
  result.rope = parse_rope_config(object, origin);
  if (const json* quantization = config.find("quantization_config"))
    result.quantization = parse_quantization_config(*quantization, origin + ": quantization_config");
  result.eos_token_id = config.find_token_ids("eos_token_id");
  result.bos_token_id = config.find_token_id("bos_token_id");
  result.pad_token_id = config.find_token_id("pad_token_id");
  return result;
}

json parse_config_object(const std::string& text, const std::string& origin) {
  json object = parse_json(text, origin);
  if (!object.is_object())
    throw Error(fmt::format("{}: expected a JSON object, found {}", origin, object.type_name()));
  return object;
}

void check_probability(const JsonFields& config, const char* field, const std::optional<double>& value) {
  if (value && (*value < 0 || *value > 1)) config.wrong(field, "from 0 to 1");
}

}  // namespace

HfConfig parse_hf_config(const std::string& text, const std::string& origin, const std::string& overrides) {
  json object = parse_config_object(text, origin);
  if (!overrides.empty()) object.merge_patch(parse_config_object(overrides, "--hf-overrides"));
  return parse_object(object, origin);
}

HfConfig load_hf_config(const std::filesystem::path& folder) {
  return load_hf_config(folder, {});
}

HfConfig load_hf_config(const std::filesystem::path& folder, const std::string& overrides) {
  const std::filesystem::path path = folder / "config.json";
  if (!std::filesystem::exists(path))
    throw Error(fmt::format("{} has no config.json", folder.string()),
                "Give the folder of a Hugging Face model.");
  HfConfig result = parse_hf_config(read_text_file(path, kMaxConfigBytes), path.string(), overrides);
  if (!result.quantization) result.quantization = find_old_quantization_config(folder);
  return result;
}

GenerationConfig parse_generation_config(const std::string& text, const std::string& origin) {
  const json object = parse_config_object(text, origin);
  const JsonFields config(object, origin);
  GenerationConfig result;
  result.do_sample = config.find_bool("do_sample");
  result.temperature = config.find_number("temperature");
  if (result.temperature && *result.temperature < 0) config.wrong("temperature", "at least 0");
  result.top_p = config.find_number("top_p");
  check_probability(config, "top_p", result.top_p);
  result.min_p = config.find_number("min_p");
  check_probability(config, "min_p", result.min_p);
  result.typical_p = config.find_number("typical_p");
  check_probability(config, "typical_p", result.typical_p);
  result.repetition_penalty = config.find_positive("repetition_penalty");
  const auto count = [&config](const char* field) -> std::optional<std::int32_t> {
    const std::optional<std::int64_t> value = config.find_int(field, kCount);
    return value ? std::optional(static_cast<std::int32_t>(*value)) : std::nullopt;
  };
  result.top_k = count("top_k");
  result.max_new_tokens = count("max_new_tokens");
  result.min_new_tokens = count("min_new_tokens");
  result.eos_token_id = config.find_token_ids("eos_token_id");
  result.bos_token_id = config.find_token_id("bos_token_id");
  result.pad_token_id = config.find_token_id("pad_token_id");
  return result;
}

GenerationConfig load_generation_config(const std::filesystem::path& folder) {
  const std::filesystem::path path = folder / "generation_config.json";
  if (!std::filesystem::exists(path)) return {};
  return parse_generation_config(read_text_file(path, kMaxConfigBytes), path.string());
}

}  // namespace lmdeploy
