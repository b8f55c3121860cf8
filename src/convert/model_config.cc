#include "convert/model_config.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/log.h"
#include "convert/rope_freqs.h"

namespace lmdeploy::convert {
namespace {

constexpr std::int64_t kMaxSize = 1 << 26;
constexpr std::int64_t kMaxLayers = 4096;
constexpr std::int64_t kMaxContext = (std::int64_t{1} << 31) - 1;

// Keys behind "{architecture}." that are read here, or that say nothing about the arithmetic.
constexpr std::string_view kKnownKeys[] = {
    "attention.head_count",
    "attention.head_count_kv",
    "attention.key_length",
    "attention.layer_norm_rms_epsilon",
    "attention.value_length",
    "block_count",
    "context_length",
    "embedding_length",
    "feed_forward_length",
    "rope.dimension_count",
    "rope.freq_base",
    "rope.scale_linear",
    "rope.scaling.attn_factor",
    "rope.scaling.factor",
    "rope.scaling.finetuned",
    "rope.scaling.original_context_length",
    "rope.scaling.type",
    "rope.scaling.yarn_beta_fast",
    "rope.scaling.yarn_beta_slow",
    "tensor_data_layout",
    "vocab_size",
};

// Keys that change the arithmetic, beside the one value that does not.
struct Neutral {
  std::string_view key;
  double value;
};
constexpr Neutral kNeutral[] = {
    {"attention.clamp_kqv", 0},
    {"attention.max_alibi_bias", 0},
    {"attention.scale", 0},
    {"attention.sliding_window", 0},
    {"attn_logit_softcapping", 0},
    {"embedding_scale", 1},
    {"expert_count", 0},
    {"expert_used_count", 0},
    {"final_logit_softcapping", 0},
    {"logit_scale", 1},
    {"residual_scale", 1},
    {"rope.scaling.yarn_log_multiplier", 0},
};

// The metadata of one architecture: keys without its name in front.
class Keys {
 public:
  Keys(const GgufMetadata& metadata, const Architecture& architecture)
      : metadata_(metadata), prefix_(std::string(architecture.gguf_name) + ".") {}

  std::string full(std::string_view key) const { return prefix_ + std::string(key); }

  // One number, also where the file gives one for each layer and all are the same.
  std::optional<std::int64_t> find_size(std::string_view key, std::int64_t max) const {
    std::optional<std::int64_t> value;
    const auto found = metadata_.values().find(full(key));
    if (found == metadata_.values().end()) return std::nullopt;
    if (const auto* list = std::get_if<std::vector<std::int64_t>>(&found->second)) {
      if (list->empty() || std::count(list->begin(), list->end(), list->front()) != std::ssize(*list))
        throw Error(fmt::format("{}: {} differs from layer to layer, which is not supported",
                                metadata_.origin(), full(key)));
      value = list->front();
    } else {
      value = metadata_.find_int(full(key));
    }
    if (*value < 1 || *value > max)
      throw Error(
          fmt::format("{}: {} = {} must lie from 1 to {}", metadata_.origin(), full(key), *value, max));
    return value;
  }

  std::int64_t get_size(std::string_view key, std::int64_t max) const {
    const std::optional<std::int64_t> value = find_size(key, max);
    return value ? *value : metadata_.get_int(full(key));  // the latter throws
  }

  std::optional<double> find_positive(std::string_view key) const {
    const std::optional<double> value = metadata_.find_number(full(key));
    if (value && !(*value > 0 && std::isfinite(*value)))
      throw Error(fmt::format("{}: {} = {} must be above 0", metadata_.origin(), full(key), *value));
    return value;
  }

  const GgufMetadata& metadata() const { return metadata_; }
  const std::string& prefix() const { return prefix_; }

 private:
  const GgufMetadata& metadata_;
  std::string prefix_;
};

double as_number(const GgufValue& value) {
  if (const auto* number = std::get_if<double>(&value)) return *number;
  if (const auto* integer = std::get_if<std::int64_t>(&value)) return static_cast<double>(*integer);
  if (const auto* flag = std::get_if<bool>(&value)) return *flag ? 1 : 0;
  return std::nan("");
}

void check_keys(const Keys& keys) {
  std::vector<std::string> unknown;
  for (const auto& [full_key, value] : keys.metadata().values()) {
    if (!full_key.starts_with(keys.prefix())) continue;
    const std::string_view key = std::string_view(full_key).substr(keys.prefix().size());
    if (std::find(std::begin(kKnownKeys), std::end(kKnownKeys), key) != std::end(kKnownKeys)) continue;
    const auto* rule = std::find_if(std::begin(kNeutral), std::end(kNeutral),
                                    [key](const Neutral& item) { return item.key == key; });
    if (rule == std::end(kNeutral))
      unknown.push_back(full_key);
    else if (as_number(value) != rule->value)
      throw Error(fmt::format("{}: {} = {} changes what the model computes and is not supported",
                              keys.metadata().origin(), full_key, as_number(value)));
  }
  if (!unknown.empty())
    log::warn("{}: metadata that is not known here is ignored: {}", keys.metadata().origin(),
              fmt::join(unknown, ", "));
}

void read_heads(const Keys& keys, HfConfig& config) {
  const std::string& origin = keys.metadata().origin();
  config.num_attention_heads = keys.get_size("attention.head_count", kMaxSize);
  config.num_key_value_heads =
      keys.find_size("attention.head_count_kv", kMaxSize).value_or(config.num_attention_heads);
  if (config.num_attention_heads % config.num_key_value_heads != 0)
    throw Error(fmt::format("{}: {} heads do not divide into {} key-value heads", origin,
                            config.num_attention_heads, config.num_key_value_heads));
  const std::optional<std::int64_t> key_len = keys.find_size("attention.key_length", kMaxSize);
  if (!key_len && config.hidden_size % config.num_attention_heads != 0)
    throw Error(fmt::format("{}: {} heads do not divide the width {}", origin, config.num_attention_heads,
                            config.hidden_size));
  config.head_dim = key_len.value_or(config.hidden_size / config.num_attention_heads);
  const std::int64_t value_len = keys.find_size("attention.value_length", kMaxSize).value_or(config.head_dim);
  const std::int64_t rope_len = keys.find_size("rope.dimension_count", kMaxSize).value_or(config.head_dim);
  if (value_len != config.head_dim || rope_len != config.head_dim || config.head_dim % 2 != 0)
    throw Error(fmt::format(
        "{}: heads of {} (keys), {} (values) and {} (rope) elements; they must be one even number", origin,
        config.head_dim, value_len, rope_len));
}

void read_rope(const Keys& keys, RopeConfig& rope) {
  const GgufMetadata& metadata = keys.metadata();
  rope.rope_theta = keys.find_positive("rope.freq_base").value_or(rope.rope_theta);
  std::optional<double> factor = metadata.find_number(keys.full("rope.scaling.factor"));
  if (factor == 0) factor.reset();  // how some writers say "none"
  if (factor) factor = keys.find_positive("rope.scaling.factor");
  if (!factor) factor = keys.find_positive("rope.scale_linear");
  const std::string type =
      metadata.find_string(keys.full("rope.scaling.type")).value_or(factor ? "linear" : "none");
  if (type == "none" || (type == "linear" && factor.value_or(1) == 1)) return;
  if (type != "linear" && type != "yarn")
    throw Error(fmt::format("{}: {} = \"{}\" is not supported", metadata.origin(),
                            keys.full("rope.scaling.type"), type),
                "Supported are none, linear and yarn.");
  rope.rope_type = type;
  rope.factor = factor.value_or(1);
  if (type == "linear") return;
  rope.original_max_position_embeddings = keys.find_size("rope.scaling.original_context_length", kMaxContext);
  rope.beta_fast = keys.find_positive("rope.scaling.yarn_beta_fast");
  rope.beta_slow = keys.find_positive("rope.scaling.yarn_beta_slow");
  // GGUF's factor comes on top of yarn's own; transformers' replaces it.
  const double attention = keys.find_positive("rope.scaling.attn_factor").value_or(1);
  if (attention != 1) rope.attention_factor = attention * (0.1 * std::log(rope.factor) + 1);
}

void read_tensor_facts(const GgufFile& file, const Architecture& architecture, HfConfig& config) {
  config.tie_word_embeddings = file.find("output.weight") == nullptr;
  if (architecture.bias == Architecture::Bias::all_or_none) {
    config.attention_bias = file.find("blk.0.attn_q.bias") != nullptr;
    config.mlp_bias = file.find("blk.0.ffn_up.bias") != nullptr;
  }
  const GgufTensor* embedding = file.find("token_embd.weight");
  if (embedding == nullptr)
    throw Error(fmt::format("{}: tensor token_embd.weight is missing", file.path().string()),
                "The file holds a vocabulary or an adapter only; give a whole model.");
  config.vocab_size = embedding->num_rows();
  if (const GgufTensor* freqs = file.find("rope_freqs.weight")) apply_rope_freqs(file, *freqs, config);
}

nlohmann::ordered_json rope_scaling_json(const RopeConfig& rope) {
  if (rope.rope_type == "default") return nullptr;
  nlohmann::ordered_json scaling = {{"rope_type", rope.rope_type}, {"factor", rope.factor}};
  const auto add = [&scaling](const char* field, const auto& value) {
    if (value) scaling[field] = *value;
  };
  add("low_freq_factor", rope.low_freq_factor);
  add("high_freq_factor", rope.high_freq_factor);
  add("attention_factor", rope.attention_factor);
  add("beta_fast", rope.beta_fast);
  add("beta_slow", rope.beta_slow);
  add("original_max_position_embeddings", rope.original_max_position_embeddings);
  return scaling;
}

}  // namespace

HfConfig read_model_config(const GgufFile& file, const Architecture& architecture) {
  const Keys keys(file.metadata(), architecture);
  check_keys(keys);
  HfConfig config;
  config.architecture = architecture.hf_class;
  config.model_type = architecture.model_type;
  config.num_hidden_layers = keys.get_size("block_count", kMaxLayers);
  config.hidden_size = keys.get_size("embedding_length", kMaxSize);
  config.intermediate_size = keys.get_size("feed_forward_length", kMaxSize);
  config.max_position_embeddings = keys.get_size("context_length", kMaxContext);
  config.rms_norm_eps = keys.find_positive("attention.layer_norm_rms_epsilon").value_or(0);
  if (config.rms_norm_eps == 0)
    throw Error(fmt::format("{}: {} is missing", file.path().string(),
                            keys.full("attention.layer_norm_rms_epsilon")));
  read_heads(keys, config);
  read_rope(keys, config.rope);
  read_tensor_facts(file, architecture, config);
  return config;
}

std::string config_json(const HfConfig& config) {
  nlohmann::ordered_json object = {
      {"architectures", {config.architecture}},
      {"model_type", config.model_type},
      {"torch_dtype", dtype_name(config.dtype)},
      {"vocab_size", config.vocab_size},
      {"hidden_size", config.hidden_size},
      {"intermediate_size", config.intermediate_size},
      {"num_hidden_layers", config.num_hidden_layers},
      {"num_attention_heads", config.num_attention_heads},
      {"num_key_value_heads", config.num_key_value_heads},
      {"head_dim", config.head_dim},
      {"hidden_act", "silu"},
      {"max_position_embeddings", config.max_position_embeddings},
      {"rms_norm_eps", config.rms_norm_eps},
      {"rope_theta", config.rope.rope_theta},
      {"rope_scaling", rope_scaling_json(config.rope)},
      {"tie_word_embeddings", config.tie_word_embeddings},
  };
  if (config.attention_bias) object["attention_bias"] = *config.attention_bias;
  if (config.mlp_bias) object["mlp_bias"] = *config.mlp_bias;
  if (config.bos_token_id) object["bos_token_id"] = *config.bos_token_id;
  if (config.eos_token_id.size() == 1) object["eos_token_id"] = config.eos_token_id.front();
  if (config.eos_token_id.size() > 1) object["eos_token_id"] = config.eos_token_id;
  if (config.pad_token_id) object["pad_token_id"] = *config.pad_token_id;
  return object.dump(2) + "\n";
}

}  // namespace lmdeploy::convert
