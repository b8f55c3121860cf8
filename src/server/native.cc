#include "server/native.h"

#include <fmt/format.h>

#include "server/api_error.h"
#include "server/openai_fields.h"

namespace lmdeploy {
namespace {

// What sampling is without a word of the request in 0.5.3.
constexpr float kInteractiveTemperature = 0.8F;
constexpr float kInteractiveTopP = 0.8F;
constexpr std::int32_t kInteractiveTopK = 40;

Prompt parse_generate_prompt(JsonFields& fields, const RequestLimits& limits) {
  const auto prompt = fields.string("prompt");
  const Json* ids = fields.any("input_ids");
  expect_exactly_one("prompt", prompt.has_value(), "input_ids", ids != nullptr);
  if (prompt) return *prompt;
  if (!ids->is_array()) fields.fail("input_ids", "a list of token ids", *ids);
  return parse_token_ids(*ids, "input_ids", limits.vocab_size);
}

AnswerOptions parse_native_options(JsonFields& fields, const RequestLimits& limits) {
  AnswerOptions options;
  options.sampling = parse_sampling(fields);
  options.generation = parse_generation(fields, limits);
  options.stream = fields.boolean("stream").value_or(false);
  options.include_timings = fields.boolean("include_timings").value_or(false);
  options.session_id = parse_session_id(fields);
  fields.neutral("repetition_ngram_size", {0});
  fields.neutral("repetition_ngram_threshold", {0});
  parse_answer_form(fields, options);
  return options;
}

// The same as max_tokens; 0 where nothing is asked.
void parse_request_output_len(JsonFields& fields, InteractiveRequest& request) {
  constexpr auto kMax = std::numeric_limits<std::int32_t>::max();
  const auto len = fields.integer("request_output_len", request.messages.empty() ? 0 : 1, kMax);
  if (!len) return;
  if (request.options.generation.max_new_tokens > 0 && request.options.generation.max_new_tokens != *len)
    fields.fail("request_output_len",
                fmt::format("the same as max_tokens ({})", request.options.generation.max_new_tokens), *len);
  request.options.generation.max_new_tokens = static_cast<std::int32_t>(*len);
}

Json parse_interactive_prompt(JsonFields& fields, const RequestLimits& limits) {
  const Json* prompt = fields.any("prompt");
  if (prompt == nullptr || *prompt == "" || *prompt == Json::array()) return Json::array();
  if (prompt->is_array()) return parse_messages(*prompt, limits.max_messages);
  if (!prompt->is_string()) fields.fail("prompt", "a string or a list of messages", *prompt);
  return Json::array({{{"role", "user"}, {"content", *prompt}}});
}

void check_interactive(const JsonFields& fields, const InteractiveRequest& request) {
  const bool has_session = request.options.session_id.has_value();
  if (request.cancel && !has_session)
    fields.fail("session_id", "the session whose answer is to be cancelled", nullptr);
  if (request.interactive_mode && !has_session)
    fields.fail("session_id", "an id from 0 where interactive_mode is true", nullptr);
  if (!request.messages.empty() || request.cancel) return;
  if (request.interactive_mode || !has_session)
    fields.fail("prompt",
                "a text, or none with a session_id and interactive_mode false, which ends the session", "");
}

}  // namespace

GenerateRequest parse_generate_request(std::string_view body, const RequestLimits& limits,
                                       FieldNotes* notes) {
  const Json json = parse_json(body);
  JsonFields fields(json, "", notes);
  GenerateRequest request;
  request.options = parse_native_options(fields, limits);
  request.options.model = fields.string("model").value_or("");
  GenerationParams& generation = request.options.generation;
  if (generation.max_new_tokens == 0)
    generation.max_new_tokens = std::max(kDefaultGenerateTokens, generation.min_new_tokens);
  request.prompt = parse_generate_prompt(fields, limits);
  const bool logprobs = fields.boolean("return_logprob").value_or(false);
  request.options.logprobs = generation.logprobs = logprobs;
  fields.neutral("return_routed_experts", {false});
  for (const char* name : {"image_data", "media_io_kwargs", "mm_processor_kwargs"}) fields.neutral(name, {});
  fields.refuse_unknown();
  return request;
}

InteractiveRequest parse_interactive_request(std::string_view body, const RequestLimits& limits,
                                             FieldNotes* notes) {
  const Json json = parse_json(body);
  JsonFields fields(json, "", notes);
  InteractiveRequest request;
  request.options = parse_native_options(fields, limits);
  SamplingOverrides& sampling = request.options.sampling;
  if (!sampling.temperature) sampling.temperature = kInteractiveTemperature;
  if (!sampling.top_p) sampling.top_p = kInteractiveTopP;
  if (!sampling.top_k) sampling.top_k = kInteractiveTopK;
  if (!sampling.repetition_penalty) sampling.repetition_penalty = 1.0F;
  request.messages = parse_interactive_prompt(fields, limits);
  request.interactive_mode = fields.boolean("interactive_mode").value_or(false);
  request.cancel = fields.boolean("cancel").value_or(false);
  parse_request_output_len(fields, request);
  fields.neutral("image_url", {});
  fields.neutral("adapter_name", {});
  fields.refuse_unknown();
  check_interactive(fields, request);
  return request;
}

AbortRequest parse_abort_request(std::string_view body, FieldNotes* notes) {
  const Json json = parse_json(body);
  JsonFields fields(json, "", notes);
  AbortRequest request;
  request.abort_all = fields.boolean("abort_all").value_or(false);
  request.session_id = parse_session_id(fields);
  request.request_id = fields.string("request_id").value_or("");
  fields.neutral("finished_reason", {});
  fields.neutral("abort_message", {});
  fields.refuse_unknown();
  if (!request.abort_all && !request.session_id && request.request_id.empty())
    throw ApiError(400, "expected session_id, request_id or abort_all: nothing says which request to end");
  return request;
}

}  // namespace lmdeploy
