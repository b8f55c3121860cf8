#include "server/responses.h"

#include <fmt/format.h>

#include <limits>

#include "server/openai_fields.h"
#include "server/responses_fields.h"

namespace lmdeploy {
namespace {

constexpr std::string_view kLogprobs = "message.output_text.logprobs";

void parse_logprobs(JsonFields& fields, const RequestLimits& limits, AnswerOptions& options) {
  const auto num_top = fields.integer("top_logprobs", 0, limits.max_top_logprobs).value_or(0);
  bool is_included = false;
  if (const Json* include = fields.any("include")) {
    if (!include->is_array()) fields.fail("include", "a list of strings", *include);
    for (const Json& element : *include) {
      if (element != kLogprobs) fields.fail("include", fmt::format("nothing but \"{}\"", kLogprobs), element);
      is_included = true;
    }
  }
  options.logprobs = options.generation.logprobs = is_included || num_top > 0;
  options.generation.num_top_logprobs = static_cast<std::int32_t>(num_top);
}

std::optional<GrammarSpec> parse_format(const Json& object) {
  JsonFields format(object, "text.format");
  const Json type = format.string("type").value_or("");
  std::optional<GrammarSpec> grammar;
  if (type == "json_object") {
    grammar = json_object_grammar();
  } else if (type == "json_schema") {
    for (const char* name : {"name", "description"}) format.string(name);
    format.boolean("strict");  // it is kept to, whatever is said here
    const Json* schema = format.object("schema");
    if (schema == nullptr) format.fail("schema", "a JSON schema", nullptr);
    grammar = json_schema_grammar(schema->dump());
  } else if (type != "text") {
    format.fail("type", "text, json_object or json_schema", type);
  }
  format.refuse_unknown();
  return grammar;
}

void parse_text(JsonFields& fields, ResponsesRequest& request) {
  Json& echo = request.echo["text"];
  echo = {{"format", {{"type", "text"}}}, {"verbosity", "medium"}};
  const Json* object = fields.object("text");
  if (object == nullptr) return;
  JsonFields text(*object, "text", fields.notes());
  text.neutral("verbosity", {"medium"});
  if (const Json* format = text.object("format")) {
    echo["format"] = *format;
    if (auto grammar = parse_format(*format))
      request.options.form = AnswerForm{"text.format", std::move(*grammar)};
  }
  text.refuse_unknown();
  if (request.options.form && request.options.generation.ignore_eos)
    fields.fail("ignore_eos", "false where text.format says where the answer ends", true);
}

void check_reasoning(JsonFields& fields, Json& echo) {
  echo["reasoning"] = {{"effort", nullptr}, {"summary", nullptr}};
  const Json* object = fields.object("reasoning");
  if (object == nullptr) return;
  JsonFields reasoning(*object, "reasoning", fields.notes());
  for (const char* name : {"effort", "summary", "generate_summary", "context", "mode"})
    reasoning.neutral(name, {});
  reasoning.refuse_unknown();
}

Json value_or(const Json* value, Json otherwise) {
  return value == nullptr ? std::move(otherwise) : *value;
}

void parse_tools(JsonFields& fields, const RequestLimits& limits, ResponsesRequest& request) {
  request.tools = parse_response_tools(fields, limits);
  request.chat.tools = template_tools(request.tools);
  request.echo["tools"] = value_or(fields.any("tools"), Json::array());
  request.echo["tool_choice"] = value_or(fields.any("tool_choice"), "auto");
  request.echo["parallel_tool_calls"] = request.tools.parallel;
}

// Labels of the client's own, without effect on the answer: it gets them back.
void parse_labels(JsonFields& fields, Json& echo) {
  for (const char* name : {"user", "safety_identifier", "prompt_cache_key", "prompt_cache_retention"}) {
    const auto label = fields.string(name);
    echo[name] = label ? Json(*label) : Json(nullptr);
  }
  const Json* metadata = fields.object("metadata");
  echo["metadata"] = metadata == nullptr ? Json::object() : *metadata;
}

void check_not_built(JsonFields& fields) {
  fields.neutral("background", {false});
  fields.neutral("truncation", {"disabled"});
  fields.neutral("service_tier", {"auto", "default"});
  for (const char* name : {"access_programs", "background_options", "context_management", "conversation",
                           "image", "max_tool_calls", "moderation", "prompt", "prompt_cache_options"})
    fields.neutral(name, {});
}

void parse_stream(JsonFields& fields, AnswerOptions& options) {
  options.stream = fields.boolean("stream").value_or(false);
  const Json* object = fields.object("stream_options");
  if (object == nullptr) return;
  if (!options.stream) fields.fail("stream_options", "nothing where stream is not true", *object);
  JsonFields stream_options(*object, "stream_options", fields.notes());
  stream_options.boolean("include_obfuscation");  // padding against traffic analysis: we send none
  stream_options.refuse_unknown();
}

AnswerOptions parse_options(JsonFields& fields, const RequestLimits& limits) {
  AnswerOptions options;
  options.model = parse_model(fields);
  options.sampling = parse_sampling(fields);
  const auto max_tokens = fields.integer("max_output_tokens", 1, std::numeric_limits<std::int32_t>::max());
  options.generation.max_new_tokens = static_cast<std::int32_t>(max_tokens.value_or(0));
  parse_shape(fields, limits, options.generation);
  parse_logprobs(fields, limits, options);
  parse_stream(fields, options);
  options.include_timings = fields.boolean("include_timings").value_or(false);
  return options;
}

}  // namespace

ResponsesRequest parse_responses_request(std::string_view body, const RequestLimits& limits,
                                         FieldNotes* notes) {
  const Json json = parse_json(body);
  JsonFields fields(json, "", notes);
  ResponsesRequest request;
  request.options = parse_options(fields, limits);
  request.chat.messages = parse_response_input(fields, limits.max_messages);
  if (const Json* kwargs = fields.object("chat_template_kwargs")) request.chat.template_kwargs = *kwargs;
  if (const auto thinking = fields.boolean("enable_thinking"))
    request.chat.template_kwargs["enable_thinking"] = *thinking;
  request.instructions = fields.string("instructions");
  request.previous_response_id = fields.string("previous_response_id");
  request.store = fields.boolean("store").value_or(true);
  parse_text(fields, request);
  check_reasoning(fields, request.echo);
  parse_tools(fields, limits, request);
  parse_labels(fields, request.echo);
  check_not_built(fields);
  fields.refuse_unknown();
  return request;
}

}  // namespace lmdeploy
