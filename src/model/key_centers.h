#pragma once
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "tensor/ctx.h"

namespace lmdeploy {

class Model;

// What an int4 cache subtracts from every key after the rotation by position: a mean for each channel of each
// layer. Any values are right; good ones leave smaller keys to quantise (docs/kv_cache.md).
struct KeyCenters {
  std::vector<float> values;  // [num_layers, num_kv_heads * head_dim]; empty: none
  std::string origin;         // what they were made from, for the log
};

// In a model's folder, instead of those measured at load: f32 tensors model.layers.N.self_attn.k_center,
// [num_kv_heads, head_dim].
inline constexpr const char* kKeyCentersFile = "kv_centers.safetensors";

// What the keys of a text, computed as one sequence in a cache of the weights' dtype, would be in the mean
// over all positions of a longer context: slow channels turn little in a short text, and its own mean would
// stay in them at positions beyond it. inv_freq: [head_dim / 2], the model's (Rope).
KeyCenters measure_key_centers(Ctx& ctx, const Model& model, std::span<const float> inv_freq,
                               std::span<const std::int32_t> text_ids);

// Throws Error where a tensor is missing, of another shape, or holds a number that is not finite.
KeyCenters read_key_centers(const std::filesystem::path& folder, const Model& model);
void write_key_centers(const std::filesystem::path& folder, const Model& model, const KeyCenters& centers);

}  // namespace lmdeploy
