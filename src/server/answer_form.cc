#include "server/answer_form.h"

#include <fmt/format.h>

#include "server/api_error.h"
#include "server/json.h"
#include "server/openai.h"

namespace lmdeploy {
namespace {

using Form = std::variant<GrammarSpec, StructuralTags>;

std::string required_string(JsonFields& fields, std::string_view name) {
  auto text = fields.string(name);
  if (!text) fields.fail(name, "a string", nullptr);
  return std::move(*text);
}

const Json& required_list(JsonFields& fields, std::string_view name) {
  const Json* list = fields.any(name);
  if (list == nullptr || !list->is_array()) fields.fail(name, "a list", list == nullptr ? Json() : *list);
  return *list;
}

std::vector<std::string> required_strings(JsonFields& fields, std::string_view name) {
  std::vector<std::string> strings;
  for (const Json& element : required_list(fields, name)) {
    if (!element.is_string()) fields.fail(fmt::format("{}[{}]", name, strings.size()), "a string", element);
    strings.push_back(element.get<std::string>());
  }
  return strings;
}

// A schema is an object, or true; vLLM's clients also send one as text.
std::string required_schema(JsonFields& fields, std::string_view name) {
  const Json* schema = fields.any(name);
  if (schema == nullptr || !(schema->is_object() || schema->is_boolean() || schema->is_string()))
    fields.fail(name, "a JSON schema", schema == nullptr ? Json() : *schema);
  return schema->is_string() ? schema->get<std::string>() : schema->dump();
}

// What a grammar's parts say of themselves goes with the name of their field.
template <class Make>
auto named(const JsonFields& fields, std::string_view name, const Make& make) {
  try {
    return make();
  } catch (const ApiError&) {
    throw;
  } catch (const Error& e) {
    throw ApiError(400, fmt::format("{}: {}", fields.path_of(name), e.what()),
                   {.param = fields.path_of(name)});
  }
}

Form parse_json_schema(JsonFields& format) {
  const Json* object = format.object("json_schema");
  if (object == nullptr) format.fail("json_schema", "an object with a schema", nullptr);
  JsonFields fields(*object, format.path_of("json_schema"));
  fields.string("name");
  fields.string("description");
  fields.boolean("strict");  // it is kept to, whatever is said here
  std::string schema = required_schema(fields, "schema");
  fields.refuse_unknown();
  return json_schema_grammar(std::move(schema));
}

StructuralTags::Tag parse_content(JsonFields& content) {
  const std::string type = required_string(content, "type");
  if (type == "json_schema")
    return {.begin = {}, .schema = required_schema(content, "json_schema"), .end = {}};
  if (type == "regex") {
    const std::string pattern = required_string(content, "pattern");
    return {.begin = {},
            .schema = {},
            .lark = named(content, "pattern", [&] { return lark_regex(pattern); }),
            .end = {}};
  }
  content.fail("type", "json_schema or regex", type);
}

// The older way to say it: {structures: [{begin, schema, end}], triggers}.
StructuralTags parse_structures(JsonFields& fields) {
  StructuralTags tags{.triggers = required_strings(fields, "triggers"), .tags = {}};
  for (const Json& element : required_list(fields, "structures")) {
    const std::string name = fmt::format("structures[{}]", tags.tags.size());
    if (!element.is_object()) fields.fail(name, "an object", element);
    JsonFields tag(element, fields.path_of(name));
    tags.tags.push_back({.begin = required_string(tag, "begin"),
                         .schema = required_schema(tag, "schema"),
                         .end = required_string(tag, "end")});
    tag.refuse_unknown();
  }
  return tags;
}

// The newer one: {format: {type: triggered_tags, triggers, tags: [{begin, content, end}]}}.
StructuralTags parse_triggered_tags(JsonFields& fields) {
  const std::string type = required_string(fields, "type");
  if (type != "triggered_tags") fields.fail("type", "triggered_tags", type);
  StructuralTags tags{.triggers = required_strings(fields, "triggers"), .tags = {}};
  for (const Json& element : required_list(fields, "tags")) {
    const std::string name = fmt::format("tags[{}]", tags.tags.size());
    if (!element.is_object()) fields.fail(name, "an object", element);
    JsonFields tag(element, fields.path_of(name));
    tag.neutral("type", {"tag"});
    const Json* object = tag.object("content");
    if (object == nullptr) tag.fail("content", "an object", nullptr);
    JsonFields content(*object, tag.path_of("content"));
    tags.tags.push_back(parse_content(content));
    content.refuse_unknown();
    tags.tags.back().begin = required_string(tag, "begin");
    tags.tags.back().end = required_string(tag, "end");
    tag.refuse_unknown();
  }
  tags.at_least_one = fields.boolean("at_least_one").value_or(false);
  tags.stop_after_first = fields.boolean("stop_after_first").value_or(false);
  return tags;
}

Form parse_structural_tag(JsonFields& fields) {
  const Json* format = fields.object("format");
  if (format == nullptr) return parse_structures(fields);
  JsonFields tags(*format, fields.path_of("format"));
  StructuralTags parsed = parse_triggered_tags(tags);
  tags.refuse_unknown();
  return parsed;
}

// A choice's strings, Lark, or a regular expression.
Form parse_choice(JsonFields& fields, std::string_view name) {
  const std::vector<std::string> choices = required_strings(fields, name);
  return named(fields, name, [&] { return choice_grammar(choices); });
}
Form parse_lark(JsonFields& fields, std::string_view name) {
  return named(fields, name, [&] { return lark_grammar(required_string(fields, name)); });
}
Form parse_regex(JsonFields& fields, std::string_view name) {
  return named(fields, name, [&] { return regex_grammar(required_string(fields, name)); });
}

std::optional<Form> parse_response_format(JsonFields& format) {
  const std::string type = required_string(format, "type");
  std::optional<Form> form;
  if (type == "json_object")
    form = json_object_grammar();
  else if (type == "json_schema")
    form = parse_json_schema(format);
  else if (type == "regex_schema")
    form = parse_regex(format, "regex_schema");
  else if (type == "structural_tag")
    form = parse_structural_tag(format);
  else if (type != "text")
    format.fail("type", "text, json_object, json_schema, regex_schema or structural_tag", type);
  if (type != "json_schema") format.neutral("json_schema", {});
  if (type != "regex_schema") format.neutral("regex_schema", {});
  format.refuse_unknown();
  return form;
}

bool is_given(JsonFields& fields, std::string_view name) {
  return fields.any(name) != nullptr;
}

// vLLM's, of which there should be one.
std::vector<Form> parse_structured_outputs(JsonFields& fields) {
  std::vector<Form> forms;
  if (is_given(fields, "json")) forms.push_back(json_schema_grammar(required_schema(fields, "json")));
  if (is_given(fields, "regex")) forms.push_back(parse_regex(fields, "regex"));
  if (is_given(fields, "choice")) forms.push_back(parse_choice(fields, "choice"));
  if (is_given(fields, "grammar")) forms.push_back(parse_lark(fields, "grammar"));
  if (fields.boolean("json_object").value_or(false)) forms.push_back(json_object_grammar());
  if (const Json* tag = fields.any("structural_tag")) {
    // Text, as vLLM has it, or the object itself.
    const Json object = tag->is_string() ? parse_json(tag->get_ref<const std::string&>()) : *tag;
    if (!object.is_object()) fields.fail("structural_tag", "an object, or one as text", *tag);
    JsonFields tag_fields(object, fields.path_of("structural_tag"));
    tag_fields.neutral("type", {"structural_tag"});
    forms.push_back(parse_structural_tag(tag_fields));
    tag_fields.refuse_unknown();
  }
  for (const char* name : {"disable_fallback", "disable_any_whitespace", "disable_additional_properties"})
    fields.neutral(name, {false});
  fields.neutral("whitespace_pattern", {});
  fields.refuse_unknown();
  return forms;
}

}  // namespace

void parse_answer_form(JsonFields& fields, AnswerOptions& options) {
  const auto set = [&](std::string_view name, Form form) {
    if (options.form)
      fields.fail(name, fmt::format("nothing where {} gives the answer its form", options.form->field),
                  *fields.any(name));
    options.form = AnswerForm{fields.path_of(name), std::move(form)};
  };
  if (const Json* object = fields.any("response_format")) {
    if (!object->is_object()) fields.fail("response_format", "an object", *object);
    JsonFields format(*object, fields.path_of("response_format"));
    if (auto form = parse_response_format(format)) set("response_format", std::move(*form));
  }
  if (const Json* object = fields.object("structured_outputs")) {
    JsonFields outputs(*object, fields.path_of("structured_outputs"));
    std::vector<Form> forms = parse_structured_outputs(outputs);
    if (forms.size() != 1)
      fields.fail("structured_outputs",
                  "exactly one of json, regex, choice, grammar, json_object and structural_tag", *object);
    set("structured_outputs", std::move(forms.front()));
  }
  if (is_given(fields, "guided_json"))
    set("guided_json", json_schema_grammar(required_schema(fields, "guided_json")));
  if (is_given(fields, "guided_regex")) set("guided_regex", parse_regex(fields, "guided_regex"));
  if (is_given(fields, "guided_choice")) set("guided_choice", parse_choice(fields, "guided_choice"));
  if (is_given(fields, "guided_grammar")) set("guided_grammar", parse_lark(fields, "guided_grammar"));
  fields.neutral("guided_decoding_backend", {"auto", "guidance"});
  fields.neutral("guided_whitespace_pattern", {});
  if (options.form && options.generation.ignore_eos)
    fields.fail("ignore_eos", fmt::format("false where {} says where the answer ends", options.form->field),
                true);
}

GrammarSpec grammar_of(const Tokenizer& tokenizer, const AnswerForm& form) {
  if (const auto* spec = std::get_if<GrammarSpec>(&form.form)) return *spec;
  try {
    return structural_tags_grammar(tokenizer, std::get<StructuralTags>(form.form));
  } catch (const Error& e) {
    throw ApiError(400, fmt::format("{}: {}", form.field, e.what()), {.param = form.field});
  }
}

}  // namespace lmdeploy
