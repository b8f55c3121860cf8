// InternLM2 and InternLM2.5: Llama's arithmetic under other names, with q, k and v in one tensor whose rows
// are grouped by kv head: [g query heads, key, value] x num_key_value_heads, g = num_attention_heads /
// num_key_value_heads.
#include <vector>

#include "model/decoder_reader.h"

namespace lmdeploy {
namespace {

// From wqkv's order of rows to the one of Attention::qkv: all queries, all keys, all values.
std::vector<RowMove> ungroup_qkv(const HfConfig& config) {
  const std::int64_t d = config.head_dim, num_kv_heads = config.num_key_value_heads;
  const std::int64_t group_rows = config.num_attention_heads / num_kv_heads * d;
  const std::int64_t first_key = config.num_attention_heads * d, first_value = first_key + num_kv_heads * d;
  std::vector<RowMove> moves;
  for (std::int64_t g = 0; g < num_kv_heads; g++) {
    const std::int64_t source = g * (group_rows + 2 * d);
    moves.push_back({source, group_rows, g * group_rows});
    moves.push_back({source + group_rows, d, first_key + g * d});
    moves.push_back({source + group_rows + d, d, first_value + g * d});
  }
  return moves;
}

Attention read_attention(const ModelSource& source, const std::string& prefix) {
  const HfConfig& config = source.config;
  WeightReader& reader = source.weights;
  const std::int64_t query_width = config.num_attention_heads * config.head_dim;
  const std::int64_t num_rows = query_width + 2 * config.num_key_value_heads * config.head_dim;
  const std::vector<RowMove> moves = ungroup_qkv(config);
  const bool bias = config.bias.value_or(false);
  Attention attention = make_attention(config);
  attention.qkv = reader.linear({prefix + "wqkv", num_rows}, config.hidden_size, moves, bias);
  attention.output = reader.linear(prefix + "wo", config.hidden_size, query_width, bias);
  return attention;
}

Mlp read_mlp(const ModelSource& source, const std::string& prefix) {
  const HfConfig& config = source.config;
  const std::vector<NamedRows> gate_up{{prefix + "w1", config.intermediate_size},
                                       {prefix + "w3", config.intermediate_size}};
  return {source.weights.linear(gate_up, config.hidden_size, false),
          source.weights.linear(prefix + "w2", config.hidden_size, config.intermediate_size, false)};
}

DecoderLayer read_layer(const ModelSource& source, std::int64_t layer_idx) {
  const std::string prefix = layer_prefix(layer_idx);
  const std::int64_t hidden_size = source.config.hidden_size;
  DecoderLayer layer;
  layer.input_norm = read_norm(source, prefix + "attention_norm.weight", hidden_size);
  layer.attention = read_attention(source, prefix + "attention.");
  layer.post_attention_norm = read_norm(source, prefix + "ffn_norm.weight", hidden_size);
  layer.mlp = read_mlp(source, prefix + "feed_forward.");
  return layer;
}

// The values are rows among others of wqkv: what makes wo's input is left as it is.
std::vector<LinearGroup> linear_groups() {
  using Maker = LinearGroup::Maker;
  return {{LinearInput::qkv, {"attention.wqkv"}, Maker::norm, "attention_norm"},
          {LinearInput::attention_output, {"attention.wo"}},
          {LinearInput::gate_up, {"feed_forward.w1", "feed_forward.w3"}, Maker::norm, "ffn_norm"},
          {LinearInput::down, {"feed_forward.w2"}, Maker::linear, "feed_forward.w3"}};
}

}  // namespace

Architecture internlm2() {
  return {"InternLM2ForCausalLM",
          {"model.tok_embeddings.weight", "model.norm.weight", "output.weight"},
          read_layer,
          linear_groups()};
}

}  // namespace lmdeploy
