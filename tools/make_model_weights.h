#pragma once
// Random weights at the shape of a real model, for measurements without a download.
#include <cstdint>
#include <filesystem>
#include <span>
#include <string_view>

#include "base/thread_pool.h"

namespace lmdeploy::make_model {

// Names are config.json's.
struct ModelShape {
  std::string_view name;
  std::int64_t vocab_size, hidden_size, intermediate_size;
  std::int64_t num_hidden_layers, num_attention_heads, num_key_value_heads;

  std::int64_t head_dim() const { return hidden_size / num_attention_heads; }
  std::int64_t group_size() const { return hidden_size % 128 == 0 ? 128 : 32; }  // of quantised weights
};

std::span<const ModelShape> known_shapes();
const ModelShape* find_shape(std::string_view name);

// The names and the order of rows that the weights are written in. The values are the same in both, so that
// two programs can be compared on one model.
enum class Layout { internlm2, llama };
// Of the layers' linear weights; the rest is in bf16. awq: 4 bits, as AutoAWQ writes them; fp8: E4M3 with
// scales for blocks of 128 x 128, as DeepSeek and Qwen have them.
enum class Storage { bf16, awq, fp8 };
inline constexpr std::int64_t kFp8Block = 128;
struct Form {
  Layout layout = Layout::internlm2;
  Storage storage = Storage::bf16;
};

// Writes safetensors, streaming. Linear weights are uniform with deviation 1 / sqrt(k), embeddings with
// deviation 1, norms lie around 1: activations stay near 1 in every layer, and no bf16 weight is zero. A
// value depends on the seed, its tensor and its place only. Returns the bytes written.
std::int64_t write_weights(ThreadPool& pool, const ModelShape& shape, const Form& form, std::uint64_t seed,
                           const std::filesystem::path& folder);

}  // namespace lmdeploy::make_model
