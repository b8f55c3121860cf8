#include "server/token_requests.h"

#include <fmt/format.h>

#include "server/openai_fields.h"

namespace lmdeploy {
namespace {

std::vector<std::string> parse_input(const JsonFields& fields, const Json* input,
                                     const RequestLimits& limits) {
  const std::string expected = fmt::format("a string or a list of 1 to {} strings", limits.max_prompts);
  if (input == nullptr) fields.fail("input", expected, nullptr);
  if (input->is_string()) return {input->get<std::string>()};
  if (!input->is_array() || input->empty() || std::ssize(*input) > limits.max_prompts)
    fields.fail("input", expected, *input);
  std::vector<std::string> texts;
  for (const Json& element : *input) {
    if (!element.is_string()) fields.fail(fmt::format("input[{}]", texts.size()), "a string", element);
    texts.push_back(element.get<std::string>());
  }
  return texts;
}

}  // namespace

EncodeRequest parse_encode_request(std::string_view body, const RequestLimits& limits, FieldNotes* notes) {
  const Json json = parse_json(body);
  JsonFields fields(json, "", notes);
  EncodeRequest request;
  const Json* input = fields.any("input");
  request.input = parse_input(fields, input, limits);
  request.is_list = input->is_array();
  request.do_preprocess = fields.boolean("do_preprocess").value_or(false);
  request.add_bos = fields.boolean("add_bos").value_or(true);
  fields.refuse_unknown();
  return request;
}

TokenizeRequest parse_tokenize_request(std::string_view body, const RequestLimits& limits,
                                       FieldNotes* notes) {
  const Json json = parse_json(body);
  JsonFields fields(json, "", notes);
  TokenizeRequest request;
  request.model = fields.string("model").value_or("");
  request.return_token_strs = fields.boolean("return_token_strs").value_or(false);
  const auto prompt = fields.string("prompt");
  const Json* messages = fields.any("messages");
  expect_exactly_one("prompt", prompt.has_value(), "messages", messages != nullptr);
  const auto add_special_tokens = fields.boolean("add_special_tokens");
  if (prompt) {
    request.prompt = *prompt;
    request.add_special_tokens = add_special_tokens.value_or(true);
  } else {
    if (add_special_tokens == true)
      fields.fail("add_special_tokens", "false where there are messages: the template writes them", true);
    request.prompt = parse_chat_input(fields, *messages, limits);
    fields.neutral("tools", {Json::array()});
    fields.neutral("chat_template", {});
    fields.neutral("mm_processor_kwargs", {});
  }
  fields.refuse_unknown();
  return request;
}

DetokenizeRequest parse_detokenize_request(std::string_view body, const RequestLimits& limits,
                                           FieldNotes* notes) {
  const Json json = parse_json(body);
  JsonFields fields(json, "", notes);
  DetokenizeRequest request;
  request.model = fields.string("model").value_or("");
  const Json* tokens = fields.any("tokens");
  if (tokens == nullptr || !tokens->is_array())
    fields.fail("tokens", "a list of token ids", tokens == nullptr ? Json(nullptr) : *tokens);
  request.tokens = parse_token_ids(*tokens, "tokens", limits.vocab_size);
  fields.refuse_unknown();
  return request;
}

}  // namespace lmdeploy
