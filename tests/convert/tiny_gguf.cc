#include "convert/tiny_gguf.h"

namespace lmdeploy::testing {

TinyGguf::TinyGguf()
    : integers{{"llama.block_count", 1},          {"llama.context_length", 64},
               {"llama.embedding_length", 8},     {"llama.feed_forward_length", 16},
               {"llama.attention.head_count", 2}, {"tokenizer.ggml.eos_token_id", 3}},
      floats{{"llama.attention.layer_norm_rms_epsilon", 1e-5F}},
      strings{{"general.architecture", "llama"},
              {"tokenizer.ggml.model", "gpt2"},
              {"tokenizer.ggml.pre", "gpt-2"}},
      lists{{"tokenizer.ggml.tokens", {"a", "b", "ab", "<end>"}}, {"tokenizer.ggml.merges", {"a b"}}},
      tensors{{"token_embd.weight", {{8, 4}, 0.5F}},     {"blk.0.attn_norm.weight", {{8}, 1.0F}},
              {"blk.0.attn_q.weight", {{8, 8}, 0.25F}},  {"blk.0.attn_k.weight", {{8, 8}, 0.25F}},
              {"blk.0.attn_v.weight", {{8, 8}, 0.25F}},  {"blk.0.attn_output.weight", {{8, 8}, 0.25F}},
              {"blk.0.ffn_norm.weight", {{8}, 1.0F}},    {"blk.0.ffn_gate.weight", {{8, 16}, 0.25F}},
              {"blk.0.ffn_up.weight", {{8, 16}, 0.25F}}, {"blk.0.ffn_down.weight", {{16, 8}, 0.25F}},
              {"output_norm.weight", {{8}, 1.0F}}} {}

std::string TinyGguf::build() const {
  constexpr std::uint32_t kArray = 9;
  constexpr std::uint32_t kString = 8;
  constexpr std::uint32_t kF32 = 0;
  GgufBuilder builder;
  for (const auto& [key, value] : integers) builder.add(key, value);
  for (const auto& [key, value] : floats) builder.add(key, value);
  for (const auto& [key, value] : strings) builder.add(key, value);
  for (const auto& [key, items] : lists) {
    std::string bytes;
    append(bytes, kString);
    append(bytes, static_cast<std::uint64_t>(items.size()));
    for (const std::string& item : items) bytes += gguf_string(item);
    builder.add_raw(key, kArray, bytes);
  }
  std::string data;
  for (const auto& [name, tensor] : tensors) {
    builder.add_tensor(name, tensor.dims, kF32, data.size());
    std::uint64_t count = 1;
    for (const std::uint64_t dim : tensor.dims) count *= dim;
    for (std::uint64_t i = 0; i < count; ++i) append(data, tensor.value);
    data.resize((data.size() + 31) / 32 * 32);
  }
  return builder.build(data);
}

}  // namespace lmdeploy::testing
