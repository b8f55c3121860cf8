#include "server/openai_fields.h"

#include <fmt/format.h>

#include <cfloat>
#include <charconv>
#include <cmath>

#include "server/api_error.h"

namespace lmdeploy {
namespace {

constexpr std::int64_t kMaxInt32 = std::numeric_limits<std::int32_t>::max();
constexpr double kMaxTemperature = 2;  // OpenAI's and LMDeploy's bound
constexpr double kMaxRepetitionPenalty = 100;
constexpr double kMaxPenalty = 2;  // OpenAI's bounds, of presence and frequency
constexpr double kMaxLogitBias = 100;
constexpr double kMinPositive = FLT_MIN;  // the smallest penalty that a division survives

template <typename To, typename From>
std::optional<To> cast(const std::optional<From>& value) {
  return value ? std::optional<To>(static_cast<To>(*value)) : std::nullopt;
}

// Two spellings of one count: both may be given only where they agree.
std::optional<std::int32_t> parse_count(JsonFields& fields, std::string_view name,
                                        std::string_view other_name, std::int32_t min) {
  const auto value = fields.integer(name, min, kMaxInt32);
  const auto other = fields.integer(other_name, min, kMaxInt32);
  if (value && other && *value != *other)
    fields.fail(name, fmt::format("the same as {} ({})", other_name, *other), *value);
  return cast<std::int32_t>(value ? value : other);
}

void check_short_string(const JsonFields& fields, std::string_view name, const Json& value,
                        std::size_t max_bytes) {
  if (!value.is_string()) fields.fail(name, "a string", value);
  const auto& text = value.get_ref<const std::string&>();
  if (text.empty() || text.size() > max_bytes)
    fields.fail(name, fmt::format("a string of 1 to {} bytes", max_bytes), value);
}

std::vector<TokenId> parse_stop_token_ids(JsonFields& fields, const RequestLimits& limits) {
  const Json* ids = fields.any("stop_token_ids");
  if (ids == nullptr) return {};
  if (!ids->is_array() || ids->size() > limits.max_stop_tokens)
    fields.fail("stop_token_ids", fmt::format("a list of at most {} token ids", limits.max_stop_tokens),
                *ids);
  return parse_token_ids(*ids, fields.path_of("stop_token_ids"), limits.vocab_size);
}

std::optional<TokenId> parse_token_id(std::string_view text, std::int32_t vocab_size) {
  TokenId id = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
  const bool is_plain =
      error == std::errc() && end == text.data() + text.size() && std::to_string(id) == text;
  return is_plain && id >= 0 && id < vocab_size ? std::optional(id) : std::nullopt;
}

std::vector<TokenBias> parse_logit_bias(JsonFields& fields, const RequestLimits& limits) {
  const Json* biases = fields.object("logit_bias");
  if (biases == nullptr) return {};
  if (biases->size() > limits.max_logit_bias)
    fields.fail("logit_bias", fmt::format("at most {} tokens", limits.max_logit_bias), *biases);
  std::vector<TokenBias> result;
  for (const auto& [key, bias] : biases->items()) {
    const auto id = parse_token_id(key, limits.vocab_size);
    if (!id)
      fields.fail("logit_bias", fmt::format("token ids from 0 to {} as keys", limits.vocab_size - 1), key);
    if (!bias.is_number() || !(std::abs(bias.get<double>()) <= kMaxLogitBias))
      fields.fail("logit_bias." + key, fmt::format("a number from {} to {}", -kMaxLogitBias, kMaxLogitBias),
                  bias);
    result.push_back({*id, bias.get<float>()});
  }
  return result;
}

std::vector<std::string> parse_bad_words(JsonFields& fields, const RequestLimits& limits) {
  const Json* words = fields.any("bad_words");
  if (words == nullptr) return {};
  if (!words->is_array() || words->size() > limits.max_bad_words)
    fields.fail("bad_words", fmt::format("a list of at most {} strings", limits.max_bad_words), *words);
  std::vector<std::string> strings;
  for (const Json& element : *words) {
    check_short_string(fields, fmt::format("bad_words[{}]", strings.size()), element,
                       limits.max_bad_word_bytes);
    strings.push_back(element.get<std::string>());
  }
  return strings;
}

bool parse_include_usage(JsonFields& fields, bool stream) {
  const Json* object = fields.object("stream_options");
  if (object == nullptr) return false;
  if (!stream) fields.fail("stream_options", "nothing where stream is not true", *object);
  JsonFields stream_options(*object, "stream_options", fields.notes());
  const bool include_usage = stream_options.boolean("include_usage").value_or(false);
  stream_options.boolean("include_obfuscation");  // padding against traffic analysis: we send none
  stream_options.neutral("continuous_usage_stats", {false});
  stream_options.refuse_unknown();
  return include_usage;
}

// Fields without an effect on the answer: labels of the client's own.
void check_labels(JsonFields& fields) {
  for (const char* name :
       {"user", "user_id", "safety_identifier", "prompt_cache_key", "prompt_cache_retention"})
    fields.string(name);
  fields.boolean("store");
  fields.object("metadata");
}

void check_not_built(JsonFields& fields) {
  fields.neutral("service_tier", {"auto", "default"});
  fields.neutral("repetition_ngram_size", {0});
  fields.neutral("repetition_ngram_threshold", {0});
  fields.neutral("return_token_ids", {false});
  fields.neutral("return_logprob", {false});
  fields.neutral("return_routed_experts", {false});
}

}  // namespace

std::string parse_model(JsonFields& fields) {
  auto model = fields.string("model");
  if (!model) fields.fail("model", "the name of a model, see /v1/models", nullptr);
  return std::move(*model);
}

std::vector<std::string> parse_stop_strings(JsonFields& fields, std::string_view name,
                                            const RequestLimits& limits) {
  const Json* stop = fields.any(name);
  if (stop == nullptr) return {};
  if (!stop->is_array()) {
    check_short_string(fields, name, *stop, limits.max_stop_string_bytes);
    return {stop->get<std::string>()};
  }
  if (stop->size() > limits.max_stop_strings)
    fields.fail(name, fmt::format("at most {} strings", limits.max_stop_strings), *stop);
  std::vector<std::string> strings;
  for (const Json& element : *stop) {
    check_short_string(fields, fmt::format("{}[{}]", name, strings.size()), element,
                       limits.max_stop_string_bytes);
    strings.push_back(element.get<std::string>());
  }
  return strings;
}

SamplingOverrides parse_sampling(JsonFields& fields) {
  SamplingOverrides sampling;
  sampling.temperature = cast<float>(fields.number("temperature", 0, kMaxTemperature));
  sampling.top_k = cast<std::int32_t>(fields.integer("top_k", 0, kMaxInt32));
  sampling.top_p = cast<float>(fields.number("top_p", 0, 1));
  sampling.min_p = cast<float>(fields.number("min_p", 0, 1));
  sampling.typical_p = cast<float>(fields.number("typical_p", 0, 1));
  sampling.presence_penalty = cast<float>(fields.number("presence_penalty", -kMaxPenalty, kMaxPenalty));
  sampling.frequency_penalty = cast<float>(fields.number("frequency_penalty", -kMaxPenalty, kMaxPenalty));
  sampling.repetition_penalty =
      cast<float>(fields.number("repetition_penalty", kMinPositive, kMaxRepetitionPenalty));
  sampling.seed = cast<std::uint64_t>(fields.integer("seed"));
  return sampling;
}

GenerationParams parse_generation(JsonFields& fields, const RequestLimits& limits,
                                  std::int32_t min_max_tokens) {
  GenerationParams params;
  const auto max_new_tokens = parse_count(fields, "max_tokens", "max_completion_tokens", min_max_tokens);
  params.max_new_tokens = max_new_tokens.value_or(0);
  params.prompt_only = max_new_tokens == 0;
  params.min_new_tokens = parse_count(fields, "min_new_tokens", "min_tokens", 0).value_or(0);
  if (max_new_tokens && params.min_new_tokens > *max_new_tokens)
    fields.fail("min_new_tokens", fmt::format("at most max_tokens ({})", *max_new_tokens),
                params.min_new_tokens);
  parse_shape(fields, limits, params);
  return params;
}

void parse_shape(JsonFields& fields, const RequestLimits& limits, GenerationParams& params) {
  params.logit_bias = parse_logit_bias(fields, limits);
  params.bad_words = parse_bad_words(fields, limits);
  params.stop = parse_stop_strings(fields, "stop", limits);
  params.stop_token_ids = parse_stop_token_ids(fields, limits);
  params.include_stop_str_in_output = fields.boolean("include_stop_str_in_output").value_or(false);
  params.ignore_eos = fields.boolean("ignore_eos").value_or(false);
  params.skip_special_tokens = fields.boolean("skip_special_tokens").value_or(true);
  params.spaces_between_special_tokens = fields.boolean("spaces_between_special_tokens").value_or(true);
}

std::vector<TokenId> parse_token_ids(const Json& list, const std::string& path, std::int32_t vocab_size) {
  std::vector<TokenId> ids;
  ids.reserve(list.size());
  for (const Json& element : list) {
    const auto id = to_integer(element);
    if (!id || *id < 0 || *id >= vocab_size)
      throw ApiError(400,
                     fmt::format("{}[{}]: expected a token id from 0 to {}, found {}", path, ids.size(),
                                 vocab_size - 1, describe(element)),
                     {.param = path});
    ids.push_back(static_cast<TokenId>(*id));
  }
  return ids;
}

void expect_exactly_one(const char* first, bool has_first, const char* second, bool has_second) {
  if (has_first != has_second) return;
  throw ApiError(400, fmt::format("expected exactly one of {} and {}", first, second),
                 {.param = has_first ? second : first});
}

std::optional<std::int64_t> parse_session_id(JsonFields& fields) {
  const auto id = fields.integer("session_id", -1, std::numeric_limits<std::int64_t>::max());
  return id == -1 ? std::nullopt : id;
}

AnswerOptions parse_answer_options(JsonFields& fields, const RequestLimits& limits,
                                   std::int32_t min_max_tokens) {
  AnswerOptions options;
  options.model = parse_model(fields);
  options.sampling = parse_sampling(fields);
  options.generation = parse_generation(fields, limits, min_max_tokens);
  options.num_choices = static_cast<std::int32_t>(fields.integer("n", 1, limits.max_choices).value_or(1));
  options.num_candidates = options.num_choices;
  options.stream = fields.boolean("stream").value_or(false);
  options.include_usage = parse_include_usage(fields, options.stream);
  options.include_timings = fields.boolean("include_timings").value_or(false);
  options.session_id = parse_session_id(fields);
  check_labels(fields);
  check_not_built(fields);
  parse_answer_form(fields, options);
  return options;
}

SamplingParams SamplingOverrides::resolve(SamplingParams defaults, std::uint64_t random_seed) const {
  return {.temperature = temperature.value_or(defaults.temperature),
          .top_k = top_k.value_or(defaults.top_k),
          .top_p = top_p.value_or(defaults.top_p),
          .min_p = min_p.value_or(defaults.min_p),
          .typical_p = typical_p.value_or(defaults.typical_p),
          .repetition_penalty = repetition_penalty.value_or(defaults.repetition_penalty),
          .presence_penalty = presence_penalty.value_or(defaults.presence_penalty),
          .frequency_penalty = frequency_penalty.value_or(defaults.frequency_penalty),
          .seed = seed.value_or(random_seed)};
}

}  // namespace lmdeploy
