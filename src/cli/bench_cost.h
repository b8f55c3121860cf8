#pragma once
#include <cstdint>

#include "checkpoint/hf_config.h"
#include "model/model.h"
#include "ops/roofs.h"

namespace lmdeploy::cli {

// The least that a model's work costs on this machine: every byte read once at the read rate, every
// multiply-add at the dot peak. What a benchmark's times are divided into.
class BenchCost {
 public:
  // int8_linear: the layers' weights meet activations in int8, at that peak; the rest is in floats.
  BenchCost(const HfConfig& config, const ModelInfo& info, const ops::Roofs& roofs, bool int8_linear);

  // Bytes that one decode step reads: the weights once, keys and values of every sequence.
  double decode_bytes(std::int64_t batch_size, double context_len) const;

  // Of a prompt's forward pass: 2 x linear parameters x tokens, causal attention, and the head for the last
  // token.
  double prefill_seconds(std::int64_t num_tokens) const;
  double decode_seconds(std::int64_t batch_size, double context_len) const;  // of one step, the larger bound

 private:
  // At the peaks.
  double seconds(double num_linear_tokens, double num_heads, double num_pairs) const;

  double linear_params_;  // of the layers, without embedding and head
  double head_params_;
  double attention_flops_;  // per pair of a query and a key, all layers
  double linear_peak_;
  double weight_bytes_;  // of one decode step
  double kv_bytes_per_token_;
  ops::Roofs roofs_;
};

}  // namespace lmdeploy::cli
