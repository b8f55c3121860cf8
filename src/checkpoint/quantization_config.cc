#include "checkpoint/quantization_config.h"

#include <algorithm>
#include <cctype>
#include <nlohmann/json.hpp>
#include <span>

#include "base/error.h"
#include "checkpoint/compressed_config.h"
#include "checkpoint/field_table.h"
#include "checkpoint/json_fields.h"
#include "checkpoint/json_file.h"

namespace lmdeploy {
namespace {

using nlohmann::json;

constexpr std::uint64_t kMaxFileBytes = 16 << 20;

constexpr std::string_view kAwqRead[] = {"bits",         "checkpoint_format", "format",
                                         "group_size",   "q_group_size",      "version",
                                         "quant_method", "zero_point",        "w_bit"};
// Which kernel to run, and what another program fuses. Which modules were left alone, their tensors say.
constexpr std::string_view kAwqHarmless[] = {
    "desc_act", "do_fuse",         "exllama_config",         "fuse_max_seq_len", "lm_head",
    "meta",     "modules_to_fuse", "modules_to_not_convert", "pack_dtype",       "sym"};
constexpr HonouredField kAwqHonoured[] = {
    {"backend", R"(["autoawq", "auto", "gemm", "torch_awq", "exllama_v1",
                                                        "exllama_v2", "marlin", "machete"])"}};

constexpr std::string_view kGptqRead[] = {"bits",       "checkpoint_format", "format",
                                          "group_size", "quant_method",      "sym"};
// How the numbers were found; an act order is in the tensors (g_idx).
constexpr std::string_view kGptqHarmless[] = {"act_group_aware",
                                              "backend",
                                              "batch_size",
                                              "block_name_to_quantize",
                                              "cache_block_outputs",
                                              "damp_auto_increment",
                                              "damp_percent",
                                              "dataset",
                                              "desc_act",
                                              "disable_exllama",
                                              "exllama_config",
                                              "hyb_act",
                                              "lm_head",
                                              "max_input_length",
                                              "meta",
                                              "model_file_base_name",
                                              "model_name_or_path",
                                              "model_seqlen",
                                              "module_name_preceding_first_block",
                                              "modules_in_block_to_quantize",
                                              "mse",
                                              "pad_token_id",
                                              "static_groups",
                                              "tokenizer",
                                              "true_sequential",
                                              "use_cuda_fp16",
                                              "use_exllama"};
constexpr HonouredField kGptqHonoured[] = {
    {"adapter", "[]"},
    {"is_marlin_format", "[false]"},
    {"pack_dtype", R"(["int32", "torch.int32"])"},
    {"quip", "[]"},
    {"rotation", "[]"},
};

constexpr std::string_view kFp8Read[] = {"quant_method", "weight_block_size"};
// How the activations were meant to be rounded, which are computed as they are; and which modules were left
// alone, which their tensors say.
constexpr std::string_view kFp8Harmless[] = {"activation_scale_ub",
                                             "activation_scheme",
                                             "dequantize",
                                             "expert_dtype",
                                             "ignored_layers",
                                             "kv_cache_quant_method",
                                             "kv_cache_scheme",
                                             "modules_to_convert",
                                             "modules_to_not_convert",
                                             "scale_fmt"};
constexpr HonouredField kFp8Honoured[] = {{"fmt", R"(["e4m3", "float8_e4m3fn"])"}};

constexpr JsonFields::IntRange kBits{1, 32};
constexpr JsonFields::IntRange kGroupSize{-1, 1 << 22};

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

[[noreturn]] void refuse(const JsonFields& fields, const char* field, const std::string& found,
                         const std::string& supported) {
  throw Error(fmt::format("{}: {} = {} is not supported", fields.origin(), field, found),
              fmt::format("Supported: {}.", supported));
}

// The first of some spellings of one field that is there.
const char* spelling(const JsonFields& fields, std::initializer_list<const char*> names) {
  for (const char* name : names)
    if (fields.find(name) != nullptr) return name;
  return *names.begin();
}

std::int64_t parse_group_size(const JsonFields& fields, const char* field) {
  const std::int64_t group_size = fields.get_int(field, kGroupSize);
  if (group_size == 0) fields.wrong(field, "-1 (a whole row) or above 0");
  return group_size;
}

QuantizationConfig parse_awq(const json& object, const std::string& origin) {
  check_fields(object, origin, {kAwqRead, kAwqHarmless, kAwqHonoured});
  const JsonFields fields(object, origin);
  const char* version_field = spelling(fields, {"version", "checkpoint_format", "format"});
  const std::string version = lower(fields.find_string(version_field).value_or("gemm"));
  if (version != "gemm") refuse(fields, version_field, shown(version), "AWQ in the layout \"gemm\"");
  const char* bits_field = spelling(fields, {"bits", "w_bit"});
  const std::int64_t bits = fields.get_int(bits_field, kBits);
  if (bits != 4) refuse(fields, bits_field, std::to_string(bits), "AWQ with 4 bits");
  QuantizationConfig result;
  result.format = WeightFormat::awq;
  result.group_size = parse_group_size(fields, spelling(fields, {"group_size", "q_group_size"}));
  result.symmetric = !fields.find_bool("zero_point").value_or(true);
  return result;
}

// GPTQModel's exceptions for modules whose names match: "-:pattern" leaves them as they are, which their
// tensors say too; "+:pattern" quantises them otherwise.
void check_dynamic(const JsonFields& fields) {
  const json* dynamic = fields.find("dynamic");
  if (dynamic == nullptr) return;
  if (!dynamic->is_object()) fields.wrong("dynamic", "an object");
  for (const auto& [pattern, changes] : dynamic->items())
    if (!pattern.starts_with("-:"))
      refuse(fields, "dynamic", shown(*dynamic),
             "exceptions of the form \"-:pattern\", one scheme for the rest");
}

QuantizationConfig parse_gptq(json object, const std::string& origin) {
  const JsonFields fields(object, origin);
  check_dynamic(fields);
  object.erase("dynamic");
  check_fields(object, origin, {kGptqRead, kGptqHarmless, kGptqHonoured});
  const char* format_field = spelling(fields, {"checkpoint_format", "format"});
  const std::string format = lower(fields.find_string(format_field).value_or("gptq"));
  if (format != "gptq" && format != "gptq_v2")
    refuse(fields, format_field, shown(format), "\"gptq\" and \"gptq_v2\"");
  const std::int64_t bits = fields.get_int("bits", kBits);
  if (bits != 4 && bits != 8) refuse(fields, "bits", std::to_string(bits), "GPTQ with 4 or 8 bits");
  QuantizationConfig result;
  result.format = format == "gptq" ? WeightFormat::gptq : WeightFormat::gptq_v2;
  result.bits = static_cast<std::int32_t>(bits);
  result.group_size = parse_group_size(fields, "group_size");
  result.symmetric = fields.find_bool("sym").value_or(false);
  return result;
}

// Without blocks a tensor has one scale, or one for each output.
QuantizationConfig parse_fp8(const json& object, const std::string& origin) {
  check_fields(object, origin, {kFp8Read, kFp8Harmless, kFp8Honoured});
  const JsonFields fields(object, origin);
  QuantizationConfig result{WeightFormat::fp8, 8, -1, true};
  if (const json* block = fields.find("weight_block_size")) set_block_size(fields, *block, result);
  return result;
}

}  // namespace

void set_block_size(const JsonFields& fields, const json& block, QuantizationConfig& config) {
  constexpr std::int64_t kMaxSize = 1 << 22;
  const auto is_size = [](const json& value) {
    if (!value.is_number_integer()) return false;
    const auto size = value.get<std::int64_t>();
    return size >= 1 && size <= kMaxSize;
  };
  if (!block.is_array() || block.size() != 2 || !is_size(block[0]) || !is_size(block[1]))
    throw Error(fmt::format("{}: {} is not the size of a block", fields.origin(), shown(block)),
                "Expected [outputs, inputs], both from 1 on.");
  config.block_outputs = block[0].get<std::int64_t>();
  config.group_size = block[1].get<std::int64_t>();
}

const char* weight_format_name(WeightFormat format) {
  switch (format) {
    case WeightFormat::awq:
      return "AWQ";
    case WeightFormat::gptq:
      return "GPTQ";
    case WeightFormat::gptq_v2:
      return "GPTQ v2";
    case WeightFormat::pack_quantized:
      return "compressed-tensors pack-quantized";
    case WeightFormat::int_quantized:
      return "compressed-tensors int-quantized";
    case WeightFormat::float_quantized:
      return "compressed-tensors float-quantized";
    case WeightFormat::fp8:
      return "FP8";
  }
  return "";
}

const char* model_format_name(WeightFormat format) {
  if (format == WeightFormat::awq) return "awq";
  if (format == WeightFormat::fp8) return "fp8";
  return format == WeightFormat::gptq || format == WeightFormat::gptq_v2 ? "gptq" : "compressed-tensors";
}

std::string QuantizationConfig::to_string() const {
  const std::string sharing = group_size < 0 ? "whole rows"
                              : block_outputs == 1
                                  ? fmt::format("groups of {}", group_size)
                                  : fmt::format("blocks of {} x {}", block_outputs, group_size);
  return fmt::format("{}, {} bits, {}{}", weight_format_name(format), bits, sharing,
                     int8_activations ? ", 8-bit activations" : "");
}

QuantizationConfig parse_quantization_config(const json& value, const std::string& origin) {
  if (!value.is_object())
    throw Error(fmt::format("{} must be an object, found {}", origin, shown(value)), "Correct the file.");
  const JsonFields fields(value, origin);
  const std::string method = fields.find_string("quant_method").value_or("");
  if (method == "awq") return parse_awq(value, origin);
  if (method == "gptq") return parse_gptq(value, origin);
  if (method == "compressed-tensors") return parse_compressed_config(value, origin);
  if (method == "fp8" || method == "fbgemm_fp8") return parse_fp8(value, origin);
  throw Error(
      fmt::format("{}: quant_method {} is not supported", origin, shown(method)),
      "Supported: awq, gptq, compressed-tensors, fp8, fbgemm_fp8; or use the model's unquantised folder.");
}

std::optional<QuantizationConfig> find_old_quantization_config(const std::filesystem::path& folder) {
  for (const auto& [file, method] :
       {std::pair{"quantize_config.json", "gptq"}, {"quant_config.json", "awq"}}) {
    const std::filesystem::path path = folder / file;
    if (!std::filesystem::exists(path)) continue;
    json object = load_json_object(path, kMaxFileBytes);
    object.emplace("quant_method", method);
    return parse_quantization_config(object, path.string());
  }
  return std::nullopt;
}

}  // namespace lmdeploy
