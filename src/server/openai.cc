#include "server/openai.h"

#include <fmt/format.h>

#include "server/api_error.h"
#include "server/openai_fields.h"

namespace lmdeploy {
namespace {

// Of the chat route only.
void check_not_built_in_chat(JsonFields& fields) {
  fields.neutral("functions", {Json::array()});
  fields.neutral("function_call", {"none", "auto"});
  fields.neutral("modalities", {Json::array({"text"})});
  fields.neutral("verbosity", {"medium"});
  fields.neutral("media_io_kwargs", {Json::object()});
  fields.neutral("mm_processor_kwargs", {Json::object()});
  for (const char* name : {"audio", "prediction", "web_search_options", "reasoning_effort", "input_ids"})
    fields.neutral(name, {});
}

void parse_chat_logprobs(JsonFields& fields, const RequestLimits& limits, AnswerOptions& options) {
  options.logprobs = options.generation.logprobs = fields.boolean("logprobs").value_or(false);
  const auto num_top = fields.integer("top_logprobs", 0, limits.max_top_logprobs).value_or(0);
  if (num_top > 0 && !options.logprobs) fields.fail("logprobs", "true where top_logprobs is given", false);
  options.generation.num_top_logprobs = static_cast<std::int32_t>(num_top);
}

void parse_completion_logprobs(JsonFields& fields, const RequestLimits& limits, CompletionRequest& request) {
  const auto num_top = fields.integer("logprobs", 0, limits.max_top_logprobs);
  GenerationParams& generation = request.options.generation;
  request.options.logprobs = num_top.has_value();
  generation.logprobs = num_top || request.options.num_candidates > request.options.num_choices;
  generation.prompt_logprobs = num_top && request.echo;
  generation.num_top_logprobs = static_cast<std::int32_t>(num_top.value_or(0));
}

void parse_best_of(JsonFields& fields, const RequestLimits& limits, AnswerOptions& options) {
  const auto best_of = fields.integer("best_of", 1, limits.max_choices);
  if (!best_of) return;
  if (*best_of < options.num_choices)
    fields.fail("best_of", fmt::format("at least n ({})", options.num_choices), *best_of);
  if (*best_of > options.num_choices && options.stream)
    fields.fail(
        "best_of",
        fmt::format("n ({}) where stream is true: the best are known at the end", options.num_choices),
        *best_of);
  options.num_candidates = static_cast<std::int32_t>(*best_of);
}

// These shape what a template renders: refused where there is none to render.
void check_no_template_fields(JsonFields& fields, const ToolUse& tools) {
  if (tools.may_call())
    fields.fail("tools", "none where messages is a string, which passes no chat template", Json::array());
  for (const char* name : {"chat_template_kwargs", "enable_thinking", "add_generation_prompt"})
    if (const Json* value = fields.any(name))
      fields.fail(name, "nothing where messages is a string, which passes no chat template", *value);
  fields.boolean("do_preprocess");
}

void check_continued(JsonFields& fields, const ChatInput& input) {
  if (input.add_generation_prompt)
    fields.fail("add_generation_prompt", "false where continue_final_message is true", true);
  const Json& last = input.messages.back();
  const bool is_text = last.value("role", "") == "assistant" && last.contains("content") &&
                       last["content"].is_string() && last["content"] != "";
  if (!is_text)
    fields.fail("continue_final_message", "false where the last message is not text of the assistant", true);
}

}  // namespace

ChatInput parse_chat_input(JsonFields& fields, const Json& messages, const RequestLimits& limits) {
  ChatInput input;
  input.messages = parse_messages(messages, limits.max_messages);
  if (const Json* kwargs = fields.object("chat_template_kwargs")) input.template_kwargs = *kwargs;
  if (const auto thinking = fields.boolean("enable_thinking"))
    input.template_kwargs["enable_thinking"] = *thinking;
  input.continue_final_message = fields.boolean("continue_final_message").value_or(false);
  input.add_generation_prompt =
      fields.boolean("add_generation_prompt").value_or(!input.continue_final_message);
  if (input.continue_final_message) check_continued(fields, input);
  if (!fields.boolean("do_preprocess").value_or(true))
    fields.fail("do_preprocess", "true where messages is a list", false);
  return input;
}

ChatRequest parse_chat_request(std::string_view body, const RequestLimits& limits, FieldNotes* notes) {
  const Json json = parse_json(body);
  JsonFields fields(json, "", notes);
  ChatRequest request;
  request.options = parse_answer_options(fields, limits);
  parse_chat_logprobs(fields, limits, request.options);
  check_not_built_in_chat(fields);
  request.tools = parse_tool_use(fields, limits);
  const Json* messages = fields.any("messages");
  if (messages == nullptr) fields.fail("messages", "a string or a list of messages", nullptr);
  if (messages->is_string()) {
    check_no_template_fields(fields, request.tools);
    request.prompt = messages->get<std::string>();
  } else {
    ChatInput input = parse_chat_input(fields, *messages, limits);
    input.tools = template_tools(request.tools);
    request.prompt = std::move(input);
  }
  fields.refuse_unknown();
  return request;
}

std::vector<Prompt> parse_prompts(JsonFields& fields, std::string_view name, std::int32_t max_prompts,
                                  const RequestLimits& limits) {
  constexpr std::string_view kExpected =
      "a string, a list of token ids, or a list of strings or of such lists";
  const Json* prompt = fields.any(name);
  if (prompt == nullptr) fields.fail(name, kExpected, nullptr);
  if (prompt->is_string()) return {prompt->get<std::string>()};
  if (!prompt->is_array() || prompt->empty()) fields.fail(name, kExpected, *prompt);
  if (prompt->front().is_number()) return {parse_token_ids(*prompt, fields.path_of(name), limits.vocab_size)};
  if (std::ssize(*prompt) > max_prompts)
    fields.fail(name, fmt::format("at most {} texts", max_prompts), *prompt);
  std::vector<Prompt> prompts;
  for (const Json& element : *prompt) {
    const std::string path = fmt::format("{}[{}]", name, prompts.size());
    if (element.type() != prompt->front().type() || !(element.is_string() || element.is_array()))
      fields.fail(path, "a string or a list of token ids, like the others", element);
    if (element.is_string())
      prompts.emplace_back(element.get<std::string>());
    else
      prompts.emplace_back(parse_token_ids(element, path, limits.vocab_size));
  }
  return prompts;
}

CompletionRequest parse_completion_request(std::string_view body, const RequestLimits& limits,
                                           FieldNotes* notes) {
  const Json json = parse_json(body);
  JsonFields fields(json, "", notes);
  CompletionRequest request;
  request.echo = fields.boolean("echo").value_or(false);
  request.options = parse_answer_options(fields, limits, request.echo ? 0 : 1);
  GenerationParams& generation = request.options.generation;
  generation.continues_prompt = true;
  if (generation.max_new_tokens == 0 && !generation.prompt_only)
    generation.max_new_tokens = std::max(kDefaultCompletionTokens, generation.min_new_tokens);
  request.prompts = parse_prompts(fields, "prompt", limits.max_prompts, limits);
  request.suffix = fields.string("suffix").value_or("");
  if (request.echo && !request.suffix.empty())
    fields.fail("suffix", "nothing where echo is true", request.suffix);
  parse_best_of(fields, limits, request.options);
  parse_completion_logprobs(fields, limits, request);
  fields.refuse_unknown();
  return request;
}

}  // namespace lmdeploy
