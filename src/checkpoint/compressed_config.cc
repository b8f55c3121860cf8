#include "checkpoint/compressed_config.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "checkpoint/field_table.h"
#include "checkpoint/json_fields.h"

namespace lmdeploy {
namespace {

using nlohmann::json;

// Which modules are ignored, their tensors say.
constexpr std::string_view kRead[] = {"config_groups",       "format",          "quant_method",
                                      "quantization_status", "sparsity_config", "transform_config"};
// The KV cache is --quant-policy's.
constexpr std::string_view kHarmless[] = {"global_compression_ratio", "ignore", "kv_cache_scheme", "version"};
constexpr HonouredField kHonoured[] = {{"moe_sparsity_config", "[]"}};

constexpr std::string_view kSchemeRead[] = {"format", "input_activations", "targets", "weights"};
constexpr HonouredField kSchemeHonoured[] = {{"output_activations", "[]"}};

// An act order is in the tensors (weight_g_idx).
constexpr std::string_view kWeightsRead[] = {"block_structure", "group_size", "num_bits", "strategy",
                                             "symmetric"};
constexpr std::string_view kWeightsHarmless[] = {"actorder", "observer", "observer_kwargs", "scale_dtype",
                                                 "zp_dtype"};
constexpr HonouredField kIntWeightsHonoured[] = {{"type", R"(["int"])"}, {"dynamic", "[false]"}};
constexpr HonouredField kFloatWeightsHonoured[] = {{"type", R"(["float"])"}, {"dynamic", "[false]"}};

constexpr std::string_view kInputsHarmless[] = {"observer", "observer_kwargs", "group_size", "scale_dtype",
                                                "zp_dtype"};
constexpr HonouredField kInputsHonoured[] = {
    {"actorder", "[]"},           {"block_structure", "[]"}, {"dynamic", "[true]"}, {"num_bits", "[8]"},
    {"strategy", R"(["token"])"}, {"symmetric", "[true]"},   {"type", R"(["int"])"}};
// With weights of floats activations are computed as they are, whatever they were meant to be rounded to.
constexpr std::string_view kFloatInputsHarmless[] = {
    "actorder",        "block_structure", "dynamic",     "group_size", "observer",
    "observer_kwargs", "strategy",        "scale_dtype", "symmetric",  "zp_dtype"};
constexpr HonouredField kFloatInputsHonoured[] = {{"num_bits", "[8]"}, {"type", R"(["float"])"}};
constexpr const char* kInputsNeeded[] = {"dynamic", "num_bits", "strategy", "type"};

[[noreturn]] void refuse(const std::string& origin, const std::string& what, const std::string& supported) {
  throw Error(fmt::format("{}: {} is not supported", origin, what), fmt::format("Supported: {}.", supported));
}

const json& get_object(const JsonFields& fields, const char* field) {
  const json* value = fields.find(field);
  if (value == nullptr || !value->is_object()) fields.wrong(field, "an object");
  return *value;
}

WeightFormat parse_format(const JsonFields& fields, const std::string& format) {
  if (format == "pack-quantized") return WeightFormat::pack_quantized;
  if (format == "int-quantized") return WeightFormat::int_quantized;
  if (format == "float-quantized") return WeightFormat::float_quantized;
  refuse(fields.origin(), fmt::format("format {}", shown(format)),
         "pack-quantized, int-quantized and float-quantized");
}

// What shares a scale.
void parse_strategy(const JsonFields& weights, QuantizationConfig& result) {
  const std::optional<std::int64_t> group_size = weights.find_int("group_size", {-1, 1 << 22});
  if (group_size == 0) weights.wrong("group_size", "-1 (a whole row) or above 0");
  const std::string by_default = !group_size ? "tensor" : *group_size > 0 ? "group" : "channel";
  const std::string strategy = weights.find_string("strategy").value_or(by_default);
  if (strategy == "group") {
    if (group_size.value_or(-1) < 0) weights.wrong("group_size", "above 0 (strategy is group)");
    result.group_size = *group_size;
  } else if (strategy == "channel" || strategy == "tensor") {
    result.group_size = -1;
  } else if (strategy == "block" && result.holds_floats()) {
    const json* block = weights.find("block_structure");
    if (block == nullptr) weights.wrong("block_structure", "[outputs, inputs] (strategy is block)");
    set_block_size(weights, *block, result);
  } else {
    refuse(weights.origin(), fmt::format("strategy {}", shown(strategy)),
           result.holds_floats() ? "block, group, channel and tensor" : "group, channel and tensor");
  }
}

void parse_weights(const JsonFields& scheme, QuantizationConfig& result) {
  const std::string origin = scheme.origin() + ": weights";
  const json& object = get_object(scheme, "weights");
  if (result.holds_floats())
    check_fields(object, origin, {kWeightsRead, kWeightsHarmless, kFloatWeightsHonoured});
  else
    check_fields(object, origin, {kWeightsRead, kWeightsHarmless, kIntWeightsHonoured});
  const JsonFields weights(object, origin);
  const std::int64_t bits = weights.get_int("num_bits", {1, 32});
  const bool words = result.format == WeightFormat::pack_quantized;
  if (bits != 8 && (bits != 4 || !words))
    refuse(origin, fmt::format("num_bits = {}", bits),
           words
               ? "pack-quantized with 4 or 8 bits"
               : fmt::format("{} with 8 bits", result.holds_floats() ? "float-quantized" : "int-quantized"));
  result.bits = static_cast<std::int32_t>(bits);
  result.symmetric = weights.find_bool("symmetric").value_or(true);
  if (result.holds_floats() && !result.symmetric)
    refuse(origin, "symmetric = false", "floats without zero points (symmetric = true)");
  parse_strategy(weights, result);
}

// Whether they are of 8 bits while the model runs.
bool parse_activations(const JsonFields& scheme, const QuantizationConfig& weights) {
  if (scheme.find("input_activations") == nullptr) return false;
  const json& object = get_object(scheme, "input_activations");
  const std::string origin = scheme.origin() + ": input_activations";
  if (weights.holds_floats()) {
    check_fields(object, origin, {{}, kFloatInputsHarmless, kFloatInputsHonoured});
    return false;
  }
  for (const char* field : kInputsNeeded)
    if (!object.contains(field) || object[field].is_null())
      refuse(origin, fmt::format("no {}", field), "8-bit integers, dynamic, a scale per token");
  check_fields(object, origin, {{}, kInputsHarmless, kInputsHonoured});
  return true;
}

QuantizationConfig parse_scheme(const json& object, const std::string& origin, const std::string& format) {
  if (!object.is_object()) refuse(origin, shown(object), "a scheme with targets and weights");
  check_fields(object, origin, {kSchemeRead, {}, kSchemeHonoured});
  const JsonFields scheme(object, origin);
  QuantizationConfig result;
  result.format = parse_format(scheme, scheme.find_string("format").value_or(format));
  parse_weights(scheme, result);
  result.int8_activations = parse_activations(scheme, result);
  if (result.int8_activations && (result.bits != 8 || result.group_size > 0))
    refuse(origin, "8-bit activations with " + result.to_string(),
           "them with 8-bit weights and one scale per output");
  return result;
}

// 2:4 sparsity changes how weights are stored, a transform (rotation) what is computed.
void check_absent(const JsonFields& fields) {
  const std::string origin = fields.origin() + ": sparsity_config";
  if (fields.find("sparsity_config") != nullptr) {
    const JsonFields sparsity(get_object(fields, "sparsity_config"), origin);
    const std::string format = sparsity.find_string("format").value_or("dense");
    if (format != "dense")
      refuse(origin, fmt::format("format {}", shown(format)), "weights that are not sparse");
  }
  if (const json* transform = fields.find("transform_config"); transform != nullptr && !transform->empty())
    refuse(fields.origin(), fmt::format("transform_config = {}", shown(*transform)),
           "models without transforms");
  const std::string status = fields.find_string("quantization_status").value_or("compressed");
  if (status != "compressed")
    refuse(fields.origin(), fmt::format("quantization_status {}", shown(status)), "compressed");
}

}  // namespace

QuantizationConfig parse_compressed_config(const json& object, const std::string& origin) {
  check_fields(object, origin, {kRead, kHarmless, kHonoured});
  const JsonFields fields(object, origin);
  check_absent(fields);
  const std::string format = fields.find_string("format").value_or("");
  const json& groups = get_object(fields, "config_groups");
  std::optional<QuantizationConfig> result;
  for (const auto& [name, scheme] : groups.items()) {
    const QuantizationConfig found =
        parse_scheme(scheme, fmt::format("{}: config_groups: {}", origin, name), format);
    if (result && !(found == *result))
      refuse(origin,
             fmt::format("config_groups with two schemes ({}; {})", result->to_string(), found.to_string()),
             "one scheme for all layers that are quantised");
    result = found;
  }
  if (!result) fields.wrong("config_groups", "an object with a scheme");
  return *result;
}

}  // namespace lmdeploy
