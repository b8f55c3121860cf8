#include "server/answer_form.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "server/api_error.h"
#include "server/json.h"
#include "server/openai.h"

namespace lmdeploy {
namespace {

std::optional<AnswerForm> form_of(const std::string& fields) {
  const std::string body = R"({"model": "m", "prompt": "hi", )" + fields + "}";
  return parse_completion_request(body, {.vocab_size = 100}).options.form;
}

GrammarSpec spec_of(const std::string& fields) {
  const auto form = form_of(fields);
  EXPECT_TRUE(form.has_value()) << fields;
  return form ? std::get<GrammarSpec>(form->form) : GrammarSpec{};
}

std::string refused_param(const std::string& fields) {
  try {
    form_of(fields);
  } catch (const ApiError& e) {
    EXPECT_EQ(e.status(), 400);
    return parse_json(e.body())["error"]["param"].get<std::string>();
  }
  return "";
}

TEST(AnswerForm, IsWhatAnyOfItsFieldsAsksFor) {
  const std::string schema = R"({"b":1,"a":2})";  // in its order
  EXPECT_EQ(spec_of(R"("response_format": {"type": "json_object"})"), json_object_grammar());
  for (
      const char* fields :
      {R"("response_format": {"type": "json_schema", "json_schema": {"name": "x", "strict": true, "schema": {}}})",
       R"("structured_outputs": {"json": {}})", R"("guided_json": {})", R"("guided_json": "{}")"}) {
    std::string with_schema = fields;
    with_schema.replace(with_schema.rfind("{}"), 2,
                        std::string(fields).ends_with("\"") ? R"({\"b\":1,\"a\":2})" : schema);
    EXPECT_EQ(spec_of(with_schema), json_schema_grammar(schema)) << with_schema;
  }
  for (const char* fields : {R"("response_format": {"type": "regex_schema", "regex_schema": "a+"})",
                             R"("structured_outputs": {"regex": "a+"})", R"("guided_regex": "a+")"})
    EXPECT_EQ(spec_of(fields), regex_grammar("a+")) << fields;
  for (const char* fields :
       {R"("structured_outputs": {"choice": ["a", "b"]})", R"("guided_choice": ["a", "b"])"})
    EXPECT_EQ(spec_of(fields), choice_grammar(std::vector<std::string>{"a", "b"})) << fields;
  for (const char* fields :
       {R"("structured_outputs": {"grammar": "start: A"})", R"("guided_grammar": "start: A")"})
    EXPECT_EQ(spec_of(fields), lark_grammar("start: A")) << fields;
}

TEST(AnswerForm, NoneIsTextAsItComes) {
  for (const char* fields : {R"("response_format": {"type": "text"})", R"("response_format": null)",
                             R"("n": 1)", R"("guided_json": null, "guided_choice": null)"})
    EXPECT_FALSE(form_of(fields).has_value()) << fields;
}

TEST(AnswerForm, StructuralTagsHaveTwoSpellings) {
  for (
      const char* fields :
      {R"("response_format": {"type": "structural_tag", "triggers": ["<a"],
           "structures": [{"begin": "<a>", "schema": {}, "end": "</a>"}]})",
       R"("structured_outputs": {"structural_tag": {"format": {"type": "triggered_tags", "triggers": ["<a"],
           "tags": [{"begin": "<a>", "content": {"type": "json_schema", "json_schema": {}}, "end": "</a>"}]}}})",
       R"("structured_outputs": {"structural_tag": "{\"triggers\": [\"<a\"], \"structures\": [{\"begin\": \"<a>\",
           \"schema\": {}, \"end\": \"</a>\"}]}"})"}) {
    std::string text = fields;
    for (char& c : text)
      if (c == '\n') c = ' ';
    const auto form = form_of(text);
    ASSERT_TRUE(form.has_value()) << fields;
    const auto& tags = std::get<StructuralTags>(form->form);
    EXPECT_EQ(tags.triggers, std::vector<std::string>{"<a"});
    ASSERT_EQ(tags.tags.size(), 1U);
    EXPECT_EQ(tags.tags[0].begin + tags.tags[0].schema + tags.tags[0].end, "<a>{}</a>");
    EXPECT_FALSE(tags.at_least_one || tags.stop_after_first);
  }
}

TEST(AnswerForm, WhatIsNotWholeIsRefusedByName) {
  const std::vector<std::pair<const char*, const char*>> cases = {
      {R"("response_format": 5)", "response_format"},
      {R"("response_format": {})", "response_format.type"},
      {R"("response_format": {"type": "xml"})", "response_format.type"},
      {R"("response_format": {"type": "json_object", "more": 1})", "response_format.more"},
      {R"("response_format": {"type": "json_object", "regex_schema": "a"})", "response_format.regex_schema"},
      {R"("response_format": {"type": "json_schema"})", "response_format.json_schema"},
      {R"("response_format": {"type": "json_schema", "json_schema": {"name": "x"}})",
       "response_format.json_schema.schema"},
      {R"("response_format": {"type": "json_schema", "json_schema": {"schema": {}, "strict": 1}})",
       "response_format.json_schema.strict"},
      {R"("response_format": {"type": "structural_tag"})", "response_format.triggers"},
      {R"("response_format": {"type": "structural_tag", "triggers": ["a"], "structures": [5]})",
       "response_format.structures[0]"},
      {R"("response_format": {"type": "structural_tag", "triggers": ["a"], "structures": [{"begin": "a"}]})",
       "response_format.structures[0].schema"},
      {R"("response_format": {"type": "structural_tag", "format": {"type": "sequence"}})",
       "response_format.format.type"},
      {R"("structured_outputs": {})", "structured_outputs"},
      {R"("structured_outputs": {"json": {}, "regex": "a"})", "structured_outputs"},
      {R"("structured_outputs": {"jsn": {}})", "structured_outputs.jsn"},
      {R"("structured_outputs": {"json": {}, "whitespace_pattern": " "})",
       "structured_outputs.whitespace_pattern"},
      {R"("guided_json": 5)", "guided_json"},
      {R"("guided_regex": "")", "guided_regex"},
      {R"("guided_regex": ["a"])", "guided_regex"},
      {R"("guided_choice": [])", "guided_choice"},
      {R"("guided_choice": ["a", 1])", "guided_choice[1]"},
      {R"("guided_grammar": " ")", "guided_grammar"},
      {R"("guided_json": {}, "guided_regex": "a")", "guided_regex"},
      {R"("guided_json": {}, "response_format": {"type": "json_object"})", "guided_json"},
      {R"("guided_json": {}, "ignore_eos": true)", "ignore_eos"},
      {R"("guided_decoding_backend": "outlines", "guided_json": {})", "guided_decoding_backend"}};
  for (const auto& [fields, param] : cases) EXPECT_EQ(refused_param(fields), param) << fields;
}

}  // namespace
}  // namespace lmdeploy
