#include "quantize/recipe_check.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "checkpoint/json_file.h"
#include "quantize/calibration_probe.h"

namespace lmdeploy {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kMaxConfigBytes = 16 << 20;
constexpr std::array<std::int64_t, 3> kGroupSizes{32, 64, 128};

void refuse_quantized(const fs::path& folder) {
  const nlohmann::json config = load_json_object(folder / "config.json", kMaxConfigBytes);
  const auto found = config.find("quantization_config");
  if (found == config.end() || !found->is_object()) return;
  throw Error(fmt::format("{} is quantised already ({})", folder.string(),
                          found->value("quant_method", std::string("quantization_config"))),
              "Give the 16-bit folder that it was made from.");
}

std::set<std::int64_t> input_sizes(const HfConfig& config) {
  std::set<std::int64_t> sizes;
  for (std::size_t i = 0; i < kNumLinearInputs; i++)
    sizes.insert(num_channels(config, static_cast<LinearInput>(i)));
  return sizes;
}

void check_group_size(const HfConfig& config, std::int64_t group_size) {
  const std::set<std::int64_t> sizes = input_sizes(config);
  const auto divides_all = [&](std::int64_t size) {
    return std::all_of(sizes.begin(), sizes.end(), [&](std::int64_t k) { return k % size == 0; });
  };
  if (group_size == -1 || divides_all(group_size)) return;
  std::vector<std::string> possible;
  for (const std::int64_t size : kGroupSizes)
    if (divides_all(size)) possible.push_back(std::to_string(size));
  possible.push_back("-1 (a whole row)");
  throw Error(fmt::format("--w-group-size {} does not divide the inputs of every linear layer ({})",
                          group_size, fmt::join(sizes, ", ")),
              fmt::format("Those that do: {}.", fmt::join(possible, ", ")));
}

// A word of the packed formats holds up to eight neighbours, of the outputs or of the inputs.
void check_words(const HfConfig& config, const Recipe& recipe) {
  if (recipe.format == OutputFormat::int8_per_token) return;
  std::set<std::int64_t> sizes = input_sizes(config);
  sizes.insert(config.num_key_value_heads * config.head_dim);
  for (const std::int64_t size : sizes)
    if (size % 8 != 0)
      throw Error(
          fmt::format("a linear layer of this model has a side of {}; this format needs multiples of 8",
                      size),
          "Use lmdeploy lite smooth_quant.");
}

void check_samples(const HfConfig& config, const Recipe& recipe, const SampleOptions& samples) {
  if (samples.num_samples == 0 &&
      (recipe.rounding != Recipe::Rounding::nearest || recipe.scaling == Recipe::Scaling::smooth ||
       recipe.scaling == Recipe::Scaling::search))
    throw Error("--calib-samples 0 rounds to the nearest value; what was asked for needs samples",
                "Give --calib-samples 128, or use auto_awq without --search-scale and --gptq.");
  if (samples.num_samples > 0 && samples.seqlen > config.max_position_embeddings)
    throw Error(fmt::format("--calib-seqlen {} is longer than the model's context of {}", samples.seqlen,
                            config.max_position_embeddings),
                fmt::format("Give --calib-seqlen {} or less.", config.max_position_embeddings));
}

std::uint64_t quantized_bytes(const BlockSource& source, const Recipe& recipe) {
  const auto whole = static_cast<std::uint64_t>(source.checkpoint->total_bytes());
  return recipe.rounding == Recipe::Rounding::nothing ? 0
                                                      : whole * static_cast<std::uint64_t>(recipe.bits) / 16;
}

// The deepest folder above `path`, or that itself, that exists.
fs::path existing_folder(const fs::path& path) {
  fs::path folder = fs::absolute(path);
  while (!fs::is_directory(folder) && folder.has_relative_path()) folder = folder.parent_path();
  return folder;
}

}  // namespace

void check_recipe(const BlockSource& source, const Recipe& recipe, const SampleOptions& samples) {
  refuse_quantized(source.checkpoint->folder());
  if (recipe.format == OutputFormat::awq && recipe.bits != 4)
    throw Error(fmt::format("--w-bits {}: AWQ's format holds 4 bits", recipe.bits),
                "Use lmdeploy lite auto_gptq for 8 bits, or smooth_quant for 8-bit activations too.");
  if (recipe.rounding != Recipe::Rounding::nothing) {
    check_group_size(source.config, recipe.group_size);
    check_words(source.config, recipe);
  }
  check_samples(source.config, recipe, samples);
}

void check_space(const fs::path& folder, const BlockSource& source, const Recipe& recipe,
                 const SampleOptions& samples) {
  const StreamShape shape{samples.num_samples, samples.seqlen, source.config.hidden_size};
  const std::uint64_t num_streams = recipe.needs_quantized_stream() ? 2 : 1;
  // Each layer's input and output; the layers, and the result made of them, which keeps what stays 16-bit.
  const std::uint64_t needed = 2 * num_streams * shape.bytes() + 2 * quantized_bytes(source, recipe);
  std::error_code failure;
  const fs::path existing = existing_folder(folder);
  const fs::space_info space = fs::space(existing, failure);
  if (failure || space.available >= needed) return;
  throw Error(fmt::format("{} has {} bytes free, the run needs about {}: {} are missing", existing.string(),
                          space.available, needed, needed - space.available),
              "Free space there, choose a --work-dir on another disk, or lower --calib-samples.");
}

}  // namespace lmdeploy
