#include "server/openapi_schema.h"

#include <algorithm>
#include <cfloat>
#include <limits>

namespace lmdeploy {
namespace {

using Type = FieldNote::Type;

const FieldText* find_text(const std::vector<FieldText>& texts, std::string_view path) {
  const auto found =
      std::find_if(texts.begin(), texts.end(), [&](const FieldText& text) { return text.path == path; });
  return found == texts.end() ? nullptr : &*found;
}

Json bounded(const char* type, const FieldNote& note) {
  Json schema{{"type", type}};
  const bool is_integer = note.type == Type::integer;
  // The widest integer is no bound to tell; the smallest float stands for "above 0".
  if (note.min == FLT_MIN)
    schema["exclusiveMinimum"] = 0;
  else if (!is_integer || note.min != std::numeric_limits<std::int64_t>::min())
    schema["minimum"] = note.min;
  if (!is_integer || note.max != std::numeric_limits<std::int64_t>::max()) schema["maximum"] = note.max;
  return schema;
}

Json type_schema(const FieldNote& note, const FieldText* text) {
  switch (note.type) {
    case Type::boolean:
      return {{"type", "boolean"}};
    case Type::string:
      return {{"type", "string"}};
    case Type::integer:
      return bounded("integer", note);
    case Type::number:
      return bounded("number", note);
    case Type::object:
      return {{"type", "object"}};
    case Type::unsupported: {
      std::vector<Json> values = note.neutral;
      values.emplace_back(nullptr);
      return {{"enum", values}, {"description", "Not supported yet: only a value without effect is taken."}};
    }
    case Type::any:
      break;
  }
  return text == nullptr || text->schema_json.empty() ? Json::object() : Json::parse(text->schema_json);
}

Json field_schema(const FieldNote& note, const FieldText* text) {
  Json schema = type_schema(note, text);
  if (text == nullptr) return schema;
  schema["description"] = text->description;
  if (!text->default_json.empty()) schema["default"] = Json::parse(text->default_json);
  return schema;
}

// The place of `path` below `root`: a field of a field lies in its properties.
Json& place_of(Json& root, std::string_view path) {
  Json* place = &root;
  for (std::size_t dot = path.find('.'); dot != std::string_view::npos; dot = path.find('.')) {
    place = &(*place)["properties"][std::string(path.substr(0, dot))];
    path.remove_prefix(dot + 1);
  }
  return (*place)["properties"][std::string(path)];
}

}  // namespace

Json object_schema(const FieldNotes& notes, const std::vector<FieldText>& texts,
                   const std::vector<std::string>& required) {
  Json schema{{"type", "object"}, {"properties", Json::object()}, {"additionalProperties", false}};
  if (!required.empty()) schema["required"] = required;
  for (const FieldNote& note : notes) {
    Json& place = place_of(schema, note.path);
    // Where two parsers ask for one field, the one that names a type has read it.
    const bool is_known = place.contains("description");
    if (!is_known || note.type != Type::any) place.update(field_schema(note, find_text(texts, note.path)));
  }
  return schema;
}

}  // namespace lmdeploy
