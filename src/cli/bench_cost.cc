#include "cli/bench_cost.h"

#include <algorithm>

namespace lmdeploy::cli {

BenchCost::BenchCost(const HfConfig& config, const ModelInfo& info, const ops::Roofs& roofs)
    : weight_bytes_(static_cast<double>(info.decode_read_bytes)),
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

double BenchCost::prefill_flops(std::int64_t num_tokens) const {
  const auto tokens = static_cast<double>(num_tokens);
  const double num_pairs = tokens * (tokens + 1) / 2;
  return 2 * linear_params_ * tokens + attention_flops_ * num_pairs + 2 * head_params_;
}

double BenchCost::decode_bytes(std::int64_t batch_size, double context_len) const {
  return weight_bytes_ + static_cast<double>(batch_size) * context_len * kv_bytes_per_token_;
}

double BenchCost::decode_flops(std::int64_t batch_size, double context_len) const {
  const double per_token = 2 * (linear_params_ + head_params_) + attention_flops_ * context_len;
  return static_cast<double>(batch_size) * per_token;
}

double BenchCost::prefill_seconds(std::int64_t num_tokens) const {
  return prefill_flops(num_tokens) / roofs_.bf16_flops;
}

double BenchCost::decode_seconds(std::int64_t batch_size, double context_len) const {
  return std::max(decode_bytes(batch_size, context_len) / roofs_.read_bytes_per_s,
                  decode_flops(batch_size, context_len) / roofs_.bf16_flops);
}

}  // namespace lmdeploy::cli
