#include "cli/bench_cost.h"

#include <algorithm>

namespace lmdeploy::cli {

BenchCost::BenchCost(const HfConfig& config, const ModelInfo& info, const ops::Roofs& roofs, bool int8_linear)
    : linear_peak_(int8_linear ? roofs.int8_ops : roofs.bf16_flops),
      weight_bytes_(static_cast<double>(info.decode_read_bytes)),
      kv_bytes_per_token_(static_cast<double>(KvPool::block_bytes(info.kv_layout, info.num_layers)) /
                          info.kv_layout.block_len),
      roofs_(roofs) {
  const auto hidden = static_cast<double>(config.hidden_size);
  const auto query_width = static_cast<double>(config.num_attention_heads * config.head_dim);
  const auto kv_width = static_cast<double>(config.num_key_value_heads * config.head_dim);
  const auto num_layers = static_cast<double>(config.num_hidden_layers);
  const double attention = hidden * (query_width + 2 * kv_width) + query_width * hidden;
  const double feed_forward = 3 * hidden * static_cast<double>(config.intermediate_size);
  linear_params_ = num_layers * (attention + feed_forward);
  head_params_ = hidden * static_cast<double>(config.vocab_size);
  attention_flops_ = num_layers * 4 * query_width;  // q.k and p.v
}

double BenchCost::decode_bytes(std::int64_t batch_size, double context_len) const {
  return weight_bytes_ + static_cast<double>(batch_size) * context_len * kv_bytes_per_token_;
}

double BenchCost::seconds(double num_linear_tokens, double num_heads, double num_pairs) const {
  return 2 * linear_params_ * num_linear_tokens / linear_peak_ +
         (attention_flops_ * num_pairs + 2 * head_params_ * num_heads) / roofs_.bf16_flops;
}

double BenchCost::prefill_seconds(std::int64_t num_tokens) const {
  const auto tokens = static_cast<double>(num_tokens);
  return seconds(tokens, 1, tokens * (tokens + 1) / 2);
}

double BenchCost::decode_seconds(std::int64_t batch_size, double context_len) const {
  const auto batch = static_cast<double>(batch_size);
  return std::max(decode_bytes(batch_size, context_len) / roofs_.read_bytes_per_s,
                  seconds(batch, batch, batch * context_len));
}

}  // namespace lmdeploy::cli
