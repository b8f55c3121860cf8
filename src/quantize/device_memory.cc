#include "quantize/device_memory.h"

#include <algorithm>

#include "model/decoder_reader.h"
#include "quantize/calibration_probe.h"

namespace lmdeploy {
namespace {

constexpr std::int64_t kMiB = std::int64_t{1} << 20;
// A forward pass bounds its scratch to 512 MiB (model/decoder.cc); packing slices, cuBLASLt's workspace and
// what the allocator rounds up are the rest.
constexpr std::int64_t kScratchBytes = 512 * kMiB, kOtherBytes = 512 * kMiB;

std::int64_t group_parameters(const BlockSource& source, const LinearGroup& group) {
  std::int64_t sum = 0;
  for (const std::string& name : group.linears)
    sum += source.checkpoint->get(layer_prefix(0) + name + ".weight").shape.num_elements();
  return sum;
}

std::int64_t layer_parameters(const BlockSource& source) {
  std::int64_t sum = 0;
  for (const LinearGroup& group : source.architecture.linear_groups) sum += group_parameters(source, group);
  return sum;
}

// Weights of the linears of one input.
std::int64_t largest_group(const BlockSource& source) {
  std::int64_t largest = 0;
  for (const LinearGroup& group : source.architecture.linear_groups)
    largest = std::max(largest, group_parameters(source, group));
  return largest;
}

}  // namespace

std::int64_t layer_work_bytes(const BlockSource& source, const Recipe& recipe, const StreamShape& shape) {
  constexpr std::int64_t kKeptTokens = 4096, kWeightRows = 2048;  // calibration_probe.cc, output_error.cc
  const HfConfig& config = source.config;
  const auto width = static_cast<std::int64_t>(dtype_bytes(source.dtype));
  std::int64_t sum_k = 0, max_k = 0;
  for (std::size_t i = 0; i < kNumLinearInputs; i++) {
    const std::int64_t k = num_channels(config, static_cast<LinearInput>(i));
    sum_k += k;
    max_k = std::max(max_k, k);
  }
  const bool gptq = recipe.rounding == Recipe::Rounding::gptq;
  const std::int64_t weights = (gptq ? 2 : 1) * layer_parameters(source) * width;
  const std::int64_t embeddings = config.vocab_size * config.hidden_size * width;
  const std::int64_t sample =
      shape.seqlen * (8 * config.hidden_size + 4 * config.num_key_value_heads * config.head_dim);
  const std::int64_t kept = kKeptTokens * (sum_k * width + max_k * 4);
  const std::int64_t outputs = (kKeptTokens + max_k) * kWeightRows * 4;
  const std::int64_t search =
      recipe.scaling == Recipe::Scaling::search ? largest_group(source) * (4 + width) + outputs : 0;
  const std::int64_t sums = gptq ? 2 * max_k * max_k * 4 + 4 * shape.seqlen * max_k * width : 0;
  return std::max(weights + sample + kept + std::max({outputs, search, kScratchBytes}) + sums, embeddings) +
         kOtherBytes;
}

}  // namespace lmdeploy
