#include "server/openai.h"

#include <fmt/format.h>

#include "server/api_error.h"
#include "server/openai_fields.h"

namespace lmdeploy {
namespace {

// Of the chat route only.
void check_not_built_in_chat(JsonFields& fields) {
  fields.neutral("logprobs", {false});
  fields.neutral("top_logprobs", {0});
  fields.neutral("tools", {Json::array()});
  fields.neutral("tool_choice", {"none", "auto"});
  fields.boolean("parallel_tool_calls");  // no effect without tools
  fields.neutral("functions", {Json::array()});
  fields.neutral("function_call", {"none", "auto"});
  fields.neutral("modalities", {Json::array({"text"})});
  fields.neutral("verbosity", {"medium"});
  fields.neutral("media_io_kwargs", {Json::object()});
  fields.neutral("mm_processor_kwargs", {Json::object()});
  for (const char* name : {"audio", "prediction", "web_search_options", "reasoning_effort", "input_ids"})
    fields.neutral(name, {});
}

ChatInput parse_chat_input(JsonFields& fields, const Json& messages) {
  ChatInput input;
  input.messages = parse_messages(messages);
  if (const Json* kwargs = fields.object("chat_template_kwargs")) input.template_kwargs = *kwargs;
  if (const auto thinking = fields.boolean("enable_thinking"))
    input.template_kwargs["enable_thinking"] = *thinking;
  input.add_generation_prompt = fields.boolean("add_generation_prompt").value_or(true);
  if (!fields.boolean("do_preprocess").value_or(true))
    fields.fail("do_preprocess", "true where messages is a list", false);
  return input;
}

// These shape what a template renders: refused where there is none to render.
void check_no_template_fields(JsonFields& fields) {
  for (const char* name : {"chat_template_kwargs", "enable_thinking", "add_generation_prompt"})
    if (const Json* value = fields.any(name))
      fields.fail(name, "nothing where messages is a string, which passes no chat template", *value);
  fields.boolean("do_preprocess");
}

std::vector<Prompt> parse_prompts(JsonFields& fields, std::int32_t vocab_size) {
  constexpr std::string_view kExpected =
      "a string, a list of token ids, or a list of strings or of such lists";
  const Json* prompt = fields.any("prompt");
  if (prompt == nullptr) fields.fail("prompt", kExpected, nullptr);
  if (prompt->is_string()) return {prompt->get<std::string>()};
  if (!prompt->is_array() || prompt->empty()) fields.fail("prompt", kExpected, *prompt);
  if (prompt->front().is_number()) return {parse_token_ids(*prompt, "prompt", vocab_size)};
  if (std::ssize(*prompt) > kMaxPrompts)
    fields.fail("prompt", fmt::format("at most {} prompts", kMaxPrompts), *prompt);
  std::vector<Prompt> prompts;
  for (const Json& element : *prompt) {
    const std::string path = fmt::format("prompt[{}]", prompts.size());
    if (element.type() != prompt->front().type() || !(element.is_string() || element.is_array()))
      fields.fail(path, "a string or a list of token ids, like the others", element);
    if (element.is_string())
      prompts.emplace_back(element.get<std::string>());
    else
      prompts.emplace_back(parse_token_ids(element, path, vocab_size));
  }
  return prompts;
}

}  // namespace

ChatRequest parse_chat_request(std::string_view body, std::int32_t vocab_size) {
  const Json json = parse_json(body);
  JsonFields fields(json, "");
  ChatRequest request;
  request.options = parse_answer_options(fields, vocab_size);
  check_not_built_in_chat(fields);
  const Json* messages = fields.any("messages");
  if (messages == nullptr) fields.fail("messages", "a string or a list of messages", nullptr);
  if (messages->is_string()) {
    check_no_template_fields(fields);
    request.prompt = messages->get<std::string>();
  } else {
    request.prompt = parse_chat_input(fields, *messages);
  }
  fields.refuse_unknown();
  return request;
}

CompletionRequest parse_completion_request(std::string_view body, std::int32_t vocab_size) {
  const Json json = parse_json(body);
  JsonFields fields(json, "");
  CompletionRequest request;
  request.options = parse_answer_options(fields, vocab_size);
  GenerationParams& generation = request.options.generation;
  if (generation.max_new_tokens == 0)
    generation.max_new_tokens = std::max(kDefaultCompletionTokens, generation.min_new_tokens);
  request.prompts = parse_prompts(fields, vocab_size);
  fields.neutral("echo", {false});
  fields.neutral("suffix", {""});
  fields.neutral("best_of", {1, request.options.num_choices});
  fields.neutral("logprobs", {});
  fields.refuse_unknown();
  return request;
}

}  // namespace lmdeploy
