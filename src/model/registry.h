#pragma once
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "checkpoint/hf_config.h"
#include "model/model.h"
#include "ops/packed_matrix.h"

namespace lmdeploy {

struct LoadOptions {
  std::optional<DType> dtype = {};  // of the weights in memory; empty: config.json's
  std::string model_format = {};    // what the folder has to hold (hf, awq, ...); empty: whatever it holds
  // How activations meet weights that are quantised alone (W4A16): as they are, or rounded to int8, faster.
  ops::Activations activations = ops::Activations::as_they_are;
  std::int32_t head_bits = 16;  // 8: a head of floats is rounded
  // Linear layers of floats are rounded to this, to the nearest; empty: they stay floats. For plans of what
  // a quantised folder would take.
  std::optional<QuantFormat> rounding = {};
  // The folder has its files' headers and sizes, but holes for data. What the data would decide is taken for
  // the usual: inputs in their order, zeros as config.json names them.
  bool headers_only = false;
  bool warns_about_unread = true;  // of tensors that have no place in the architecture
  std::int32_t session_len =
      0;  // 0: max_position_embeddings. Beyond it, dynamic rope takes its base from this
  std::int32_t block_len = 64;  // tokens per KV block
  std::int32_t kv_bits = 0;     // 8 or 4: of the codes that caches hold; 0: they hold the weights' dtype
  // With 4 bits: a text to take the keys' centres from where the folder has none; empty: no centres.
  std::vector<std::int32_t> calibration_ids = {};
};

// Reads config.json and the safetensors of a folder and builds the architecture that the table in registry.cc
// names. Throws Error: unknown architecture (with the known ones), missing or misshapen tensors.
std::unique_ptr<const Model> load_model(Ctx& ctx, const std::filesystem::path& folder,
                                        const LoadOptions& options);
// The same where the folder's config.json has been read.
std::unique_ptr<const Model> load_model(Ctx& ctx, const std::filesystem::path& folder, const HfConfig& config,
                                        const LoadOptions& options);

std::vector<std::string> known_architectures();

}  // namespace lmdeploy
