#include "checkpoint/rope_config.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string_view>

#include "base/error.h"
#include "base/log.h"
#include "checkpoint/json_fields.h"

namespace lmdeploy {
namespace {

using nlohmann::json;

constexpr std::int64_t kMaxContext = (std::int64_t{1} << 31) - 1;

constexpr std::string_view kSupported[] = {"default", "linear", "dynamic", "llama3", "yarn"};
constexpr std::string_view kKnownFields[] = {"attention_factor",
                                             "beta_fast",
                                             "beta_slow",
                                             "factor",
                                             "finetuned",  // harmless: of training
                                             "high_freq_factor",
                                             "mscale",
                                             "rope_type",
                                             "rope_theta",
                                             "low_freq_factor",
                                             "mscale_all_dim",
                                             "truncate",
                                             "type",
                                             "original_max_position_embeddings",
                                             "partial_rotary_factor"};

// rope_scaling, where it is given, stands before rope_parameters, as in transformers. Empty: neither.
const json* find_rope_object(const JsonFields& config) {
  for (const char* field : {"rope_scaling", "rope_parameters"}) {
    const json* object = config.find(field);
    if (object == nullptr) continue;
    if (!object->is_object()) config.wrong(field, "an object or null");
    if (!object->empty()) return object;
  }
  return nullptr;
}

std::string rope_type(const JsonFields& rope) {
  const std::optional<std::string> now = rope.find_string("rope_type");
  const std::optional<std::string> before = rope.find_string("type");
  if (now && before && *now != *before)
    throw Error(fmt::format("{}: rope_type \"{}\" and type \"{}\" contradict each other", rope.origin(), *now,
                            *before),
                "Keep one of them.");
  const std::string type = now ? *now : before.value_or("default");
  if (std::find(std::begin(kSupported), std::end(kSupported), type) == std::end(kSupported))
    throw Error(fmt::format("{}: the rope type \"{}\" is not supported", rope.origin(), type),
                fmt::format("Supported are {}.", fmt::join(kSupported, ", ")));
  return type;
}

double required(const JsonFields& rope, const char* field) {
  const std::optional<double> value = rope.find_positive(field);
  if (!value) rope.wrong(field, "a number above 0");
  return *value;
}

void refuse_what_is_not_honoured(const json& object, const JsonFields& rope) {
  for (const auto& [field, value] : object.items()) {
    if (value.is_object())
      throw Error(fmt::format("{}: \"{}\" gives a kind of layer its own rope, which is not supported",
                              rope.origin(), field));
    if (field.starts_with("mrope") || field == "short_factor" || field == "long_factor")
      throw Error(fmt::format("{}: {} is not supported", rope.origin(), field));
    if (std::find(std::begin(kKnownFields), std::end(kKnownFields), field) == std::end(kKnownFields))
      log::warn("{}: the field {} is not known here and ignored", rope.origin(), field);
  }
  const std::optional<double> rotary = rope.find_number("partial_rotary_factor");
  if (rotary && *rotary != 1) rope.wrong("partial_rotary_factor", "1 (only full rotation is supported)");
}

void parse_scaling(const JsonFields& rope, RopeConfig& result) {
  if (result.rope_type != "default") {
    result.factor = required(rope, "factor");
    if (result.factor < 1) rope.wrong("factor", "at least 1");
  }
  if (result.rope_type == "llama3") {
    result.low_freq_factor = required(rope, "low_freq_factor");
    result.high_freq_factor = required(rope, "high_freq_factor");
    if (*result.high_freq_factor <= *result.low_freq_factor)
      rope.wrong("high_freq_factor", "above low_freq_factor");
    if (!result.original_max_position_embeddings)
      rope.wrong("original_max_position_embeddings", "given for llama3");
  }
  if (result.rope_type == "yarn") {
    result.attention_factor = rope.find_positive("attention_factor");
    result.beta_fast = rope.find_positive("beta_fast");
    result.beta_slow = rope.find_positive("beta_slow");
    result.mscale = rope.find_number("mscale");
    result.mscale_all_dim = rope.find_number("mscale_all_dim");
    result.truncate = rope.find_bool("truncate").value_or(true);
    if (result.beta_fast.value_or(32) < result.beta_slow.value_or(1))
      rope.wrong("beta_fast", "at least beta_slow");
  }
}

}  // namespace

RopeConfig parse_rope_config(const json& config, const std::string& origin) {
  const JsonFields top(config, origin);
  RopeConfig result;
  result.rope_theta = top.find_positive("rope_theta").value_or(result.rope_theta);
  result.original_max_position_embeddings =
      top.find_int("original_max_position_embeddings", {1, kMaxContext});
  const json* object = find_rope_object(top);
  if (object == nullptr) return result;

  const std::string inner_origin = origin + " (rope)";
  const JsonFields rope(*object, inner_origin);
  refuse_what_is_not_honoured(*object, rope);
  result.rope_type = rope_type(rope);
  if (const auto theta = rope.find_positive("rope_theta")) result.rope_theta = *theta;
  if (const auto original = rope.find_int("original_max_position_embeddings", {1, kMaxContext}))
    result.original_max_position_embeddings = *original;
  parse_scaling(rope, result);
  return result;
}

}  // namespace lmdeploy
