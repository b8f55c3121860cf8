#include "server/anthropic.h"

#include <fmt/format.h>

#include <limits>

#include "server/anthropic_fields.h"
#include "server/api_error.h"
#include "server/openai_fields.h"

namespace lmdeploy {
namespace {

// The template decides what a model thinks; a budget would have to cut its thoughts short.
void parse_thinking(JsonFields& fields, ChatInput& chat) {
  const Json* object = fields.object("thinking");
  if (object == nullptr) return;
  JsonFields thinking(*object, "thinking", fields.notes());
  const auto type = thinking.string("type");
  if (type != "enabled" && type != "adaptive" && type != "disabled")
    thinking.fail("type", "enabled, adaptive or disabled", type ? Json(*type) : Json(nullptr));
  thinking.neutral("budget_tokens", {});
  thinking.neutral("display", {});
  thinking.refuse_unknown();
  chat.template_kwargs["enable_thinking"] = type != "disabled";
}

std::optional<GrammarSpec> parse_output_config(JsonFields& fields) {
  const Json* object = fields.object("output_config");
  if (object == nullptr) return std::nullopt;
  JsonFields config(*object, "output_config", fields.notes());
  config.neutral("effort", {});
  const Json* format_object = config.object("format");
  config.refuse_unknown();
  if (format_object == nullptr) return std::nullopt;
  JsonFields format(*format_object, "output_config.format");
  const Json type = format.string("type").value_or("");
  if (type != "json_schema") format.fail("type", "json_schema", type);
  const Json* schema = format.object("schema");
  if (schema == nullptr) format.fail("schema", "a JSON schema", nullptr);
  format.refuse_unknown();
  return json_schema_grammar(schema->dump());
}

// A hint where a cached prefix ends: ours are found without.
void check_cache_control(JsonFields& fields) {
  fields.object("cache_control");
}

MessagesInput parse_input(JsonFields& fields, const RequestLimits& limits) {
  MessagesInput input;
  input.model = parse_model(fields);
  input.chat.messages = parse_anthropic_messages(fields, limits.max_messages);
  const Json& last = input.chat.messages.back();
  const bool is_begun = last["role"] == "assistant" && last["content"].is_string() && last["content"] != "";
  input.chat.continue_final_message = is_begun;
  input.chat.add_generation_prompt = !is_begun;
  input.tools = parse_anthropic_tools(fields, limits);
  input.chat.tools = template_tools(input.tools);
  parse_thinking(fields, input.chat);
  input.grammar = parse_output_config(fields);
  check_cache_control(fields);
  fields.neutral("speed", {"standard"});
  for (const char* name : {"user_profile_id", "workspace_id"}) fields.neutral(name, {});
  return input;
}

void check_metadata(JsonFields& fields) {
  const Json* object = fields.object("metadata");
  if (object == nullptr) return;
  JsonFields metadata(*object, "metadata", fields.notes());
  metadata.string("user_id");
  metadata.refuse_unknown();
}

GenerationParams parse_length_and_stops(JsonFields& fields, const RequestLimits& limits) {
  GenerationParams params;
  const auto max_tokens = fields.integer("max_tokens", 1, std::numeric_limits<std::int32_t>::max());
  if (!max_tokens) fields.fail("max_tokens", "the most tokens that the answer may have", nullptr);
  params.max_new_tokens = static_cast<std::int32_t>(*max_tokens);
  const Json* stop = fields.any("stop_sequences");
  if (stop != nullptr && !stop->is_array()) fields.fail("stop_sequences", "a list of strings", *stop);
  params.stop = parse_stop_strings(fields, "stop_sequences", limits);
  return params;
}

}  // namespace

MessagesRequest parse_messages_request(std::string_view body, const RequestLimits& limits,
                                       FieldNotes* notes) {
  const Json json = parse_json(body);
  JsonFields fields(json, "", notes);
  MessagesRequest request;
  request.input = parse_input(fields, limits);
  AnswerOptions& options = request.options;
  options.model = request.input.model;
  options.sampling = parse_sampling(fields);
  options.generation = parse_length_and_stops(fields, limits);
  options.generation.continues_prompt = request.input.chat.continue_final_message;
  if (request.input.grammar) options.form = AnswerForm{"output_config.format", *request.input.grammar};
  options.stream = fields.boolean("stream").value_or(false);
  check_metadata(fields);
  fields.neutral("service_tier", {"auto", "standard_only"});
  for (const char* name : {"container", "diagnostics", "inference_geo"}) fields.neutral(name, {});
  fields.refuse_unknown();
  return request;
}

MessagesInput parse_count_tokens_request(std::string_view body, const RequestLimits& limits,
                                         FieldNotes* notes) {
  const Json json = parse_json(body);
  JsonFields fields(json, "", notes);
  MessagesInput input = parse_input(fields, limits);
  fields.refuse_unknown();
  return input;
}

}  // namespace lmdeploy
