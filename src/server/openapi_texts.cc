#include "server/openapi_bodies.h"

namespace lmdeploy {
namespace {

constexpr std::string_view kLabel = "A label of the client's own, without effect on the answer.";

constexpr std::string_view kString = R"({"type": "string"})";
constexpr std::string_view kResponseFormat = R"({"type": "object", "required": ["type"], "properties": {
  "type": {"enum": ["text", "json_object", "json_schema", "regex_schema", "structural_tag"]},
  "json_schema": {"type": "object", "required": ["schema"], "properties": {
    "name": {"type": "string"}, "description": {"type": "string"}, "strict": {"type": "boolean"},
    "schema": {"type": "object"}}},
  "regex_schema": {"type": "string"}}})";

std::vector<FieldText> followed_by(std::vector<FieldText> texts, std::initializer_list<FieldText> more) {
  texts.insert(texts.end(), more);
  return texts;
}

}  // namespace

std::vector<FieldText> with_template_texts(std::vector<FieldText> texts) {
  return followed_by(
      std::move(texts),
      {
          {"messages", "The conversation.", {}, R"({"$ref": "#/components/schemas/Messages"})"},
          {"chat_template_kwargs", "Variables for the model's chat template."},
          {"enable_thinking", "The variable of that name, for the model's chat template."},
          {"add_generation_prompt", "The rendered prompt ends with the head of the answer.", "true"},
          {"continue_final_message", "The answer goes on where the last message, of the assistant, ends.",
           "false"},
          {"do_preprocess", "Whether the messages pass the chat template.", "true"},
      });
}

std::vector<FieldText> with_answer_texts(std::vector<FieldText> texts) {
  return followed_by(
      std::move(texts),
      {
          {"model", "A name that /v1/models lists."},
          {"temperature",
           "0 takes the most likely token each time, higher values draw more freely. Default: the model's "
           "generation_config.json, else 1."},
          {"top_k", "Draw among so many most likely tokens; 0: among all."},
          {"top_p", "Draw among the most likely tokens whose probabilities add up to this."},
          {"min_p", "Leave out tokens that are less likely than this share of the most likely one."},
          {"typical_p",
           "Draw among the tokens nearest to the expected surprise whose probabilities add up to this."},
          {"presence_penalty", "Above 0, tokens that the answer has so far become less likely.", "0"},
          {"frequency_penalty", "The same for each time that the answer has them.", "0"},
          {"logit_bias", "Added to the logits of these token ids: -100 forbids a token, 100 forces it.",
           "{}"},
          {"bad_words",
           "Words that the answer does not say: the tokens of each, with and without a space before it, do "
           "not "
           "come one after the other.",
           "[]", R"({"type": "array", "items": {"type": "string"}})"},
          {"repetition_penalty",
           "Above 1, tokens of the prompt and of the answer so far become less likely; 1: no effect."},
          {"seed", "With it the same request gives the same answer; choice i draws with seed + i."},
          {"max_tokens", "Most tokens of an answer. Default: what the session length leaves."},
          {"max_completion_tokens", "Another name of max_tokens."},
          {"min_new_tokens", "Stop tokens are not drawn before so many tokens.", "0"},
          {"min_tokens", "Another name of min_new_tokens.", "0"},
          {"stop", "Texts that end the answer, of any length.", "[]", kStringOrStrings},
          {"stop_token_ids", "Tokens that end the answer, beside the model's own.", "[]", kTokenIds},
          {"include_stop_str_in_output", "The answer keeps the text that ended it.", "false"},
          {"ignore_eos", "The model's own stop tokens do not end the answer.", "false"},
          {"skip_special_tokens", "Special tokens do not show in the answer.", "true"},
          {"spaces_between_special_tokens", "Special tokens that show are set apart by spaces.", "true"},
          {"response_format",
           "The form of the answer: text, any JSON object, JSON of a schema, what matches a regular "
           "expression, "
           "or text with tags that have a schema.",
           R"({"type": "text"})", kResponseFormat},
          {"structured_outputs",
           "The same in vLLM's words: one of json (a schema), regex, choice, grammar (Lark), json_object and "
           "structural_tag."},
          {"guided_json",
           "The answer is JSON of this schema, which may also come as text.",
           {},
           R"({"type": "object"})"},
          {"guided_regex", "The answer matches this regular expression, as a whole.", {}, kString},
          {"guided_choice",
           "The answer is one of these texts.",
           {},
           R"({"type": "array", "items": {"type": "string"}})"},
          {"guided_grammar", "The answer follows this Lark grammar.", {}, kString},
          {"n", "Answers to each prompt.", "1"},
          {"stream", "Send the answer while it is made, as server-sent events.", "false"},
          {"stream_options", "Only where stream is true."},
          {"stream_options.include_usage", "A last event with the counts of tokens.", "false"},
          {"stream_options.include_obfuscation", "No effect: nothing is padded."},
          {"include_timings", "The answer says where its time went, in milliseconds.", "false"},
          {"session_id", "Names the answer for /abort_request; -1: no name.", "-1"},
          {"user", kLabel},
          {"user_id", kLabel},
          {"safety_identifier", kLabel},
          {"prompt_cache_key", kLabel},
          {"prompt_cache_retention", kLabel},
          {"store", kLabel},
          {"metadata", kLabel},
      });
}

}  // namespace lmdeploy
