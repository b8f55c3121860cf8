#include "model/registry.h"

#include <utility>

#include "base/error.h"
#include "model/decoder_reader.h"

namespace lmdeploy {
namespace {

const std::vector<Architecture>& architectures() {
  static const std::vector<Architecture> kArchitectures{internlm2(), llama(), mistral(), qwen2(), qwen3()};
  return kArchitectures;
}

KeyCenters find_key_centers(Ctx& ctx, const Decoder& decoder, const std::filesystem::path& folder,
                            std::span<const float> inv_freq,
                            const std::vector<std::int32_t>& calibration_ids) {
  if (std::filesystem::exists(folder / kKeyCentersFile)) return read_key_centers(folder, decoder);
  if (calibration_ids.empty()) return {{}, "nothing: no tokenizer and no " + std::string(kKeyCentersFile)};
  return measure_key_centers(ctx, decoder, inv_freq, calibration_ids);
}

// Whoever names a format takes the folder for something: another one is a mistake in one of the two.
void check_model_format(const HfConfig& config, const std::filesystem::path& folder,
                        const std::string& wanted) {
  const std::string found = config.quantization ? model_format_name(config.quantization->format) : "hf";
  if (wanted.empty() || wanted == found) return;
  throw Error(
      fmt::format("{} was asked for as {}, but holds {} (model format {})", folder.string(), wanted,
                  config.quantization ? config.quantization->to_string() : "weights that are not quantised",
                  found),
      fmt::format("Give --model-format {}, or leave it out.", found));
}

}  // namespace

std::vector<std::string> known_architectures() {
  std::vector<std::string> names;
  for (const Architecture& architecture : architectures()) names.push_back(architecture.name);
  return names;
}

const Architecture& get_architecture(const HfConfig& config, const std::filesystem::path& folder) {
  for (const Architecture& architecture : architectures())
    if (architecture.name == config.architecture) return architecture;
  throw Error(fmt::format("{}: architecture \"{}\" is not known (known: {})", folder.string(),
                          config.architecture, fmt::join(known_architectures(), ", ")),
              "Use a model of one of these architectures; see `lmdeploy list`.");
}

std::unique_ptr<const Model> load_model(Ctx& ctx, const std::filesystem::path& folder,
                                        const LoadOptions& options) {
  return load_model(ctx, folder, load_hf_config(folder), options);
}

std::unique_ptr<const Model> load_model(Ctx& ctx, const std::filesystem::path& folder, const HfConfig& config,
                                        const LoadOptions& options) {
  check_model_format(config, folder, options.model_format);
  const Architecture& architecture = get_architecture(config, folder);
  const WeightFormats formats{options.dtype.value_or(config.dtype),
                              config.quantization,
                              options.activations,
                              options.head_bits,
                              options.rounding,
                              options.headers_only};
  WeightReader reader(ctx, std::make_shared<const Checkpoint>(folder), formats);
  DecoderWeights weights = read_decoder({config, reader, options}, architecture);
  if (options.warns_about_unread) reader.warn_about_unread();
  const Rope rope =
      make_rope(config.rope, config.head_dim, config.max_position_embeddings, options.session_len);
  auto decoder = std::make_unique<Decoder>(ctx.device, config, rope, std::move(weights), options.block_len);
  if (options.kv_bits == 4)
    decoder->quantize_cache(4,
                            find_key_centers(ctx, *decoder, folder, rope.inv_freq, options.calibration_ids));
  else
    decoder->quantize_cache(options.kv_bits, {});
  return decoder;
}

}  // namespace lmdeploy
