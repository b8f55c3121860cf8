#include "server/tool_schema.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "server/api_error.h"

namespace lmdeploy {
namespace {

struct PythonType {
  std::string_view name;
  std::string_view json_name;
};
constexpr std::array<PythonType, 10> kPythonTypes{{{"int", "integer"},
                                                   {"float", "number"},
                                                   {"str", "string"},
                                                   {"bool", "boolean"},
                                                   {"list", "array"},
                                                   {"tuple", "array"},
                                                   {"set", "array"},
                                                   {"dict", "object"},
                                                   {"None", "null"},
                                                   {"NoneType", "null"}}};
constexpr std::array<std::string_view, 7> kJsonTypes{"object",  "array",   "string", "number",
                                                     "integer", "boolean", "null"};

constexpr std::array kMapsOfSchemas{"properties", "patternProperties", "$defs", "definitions"};
constexpr std::array kSchemas{"items", "additionalProperties", "contains", "propertyNames", "not"};
constexpr std::array kListsOfSchemas{"anyOf", "oneOf", "allOf", "prefixItems"};
constexpr std::array kCombinators{"anyOf", "oneOf", "allOf", "$ref"};

[[noreturn]] void fail(const std::string& path, std::string_view expected, const Json& found) {
  throw ApiError(400, fmt::format("{}: expected {}, found {}", path, expected, describe(found)),
                 {.param = path});
}

std::string json_type(const Json& type, const std::string& path) {
  if (!type.is_string()) fail(path, "the name of a type, or a list of them", type);
  const auto& name = type.get_ref<const std::string&>();
  for (const PythonType& python : kPythonTypes)
    if (python.name == name) return std::string(python.json_name);
  if (std::ranges::find(kJsonTypes, name) == kJsonTypes.end())
    fail(path, "object, array, string, number, integer, boolean or null", type);
  return name;
}

void check_type(Json& schema, const std::string& path) {
  const auto type = schema.find("type");
  if (type == schema.end()) return;
  if (!type->is_array()) {
    *type = json_type(*type, path + ".type");
    return;
  }
  for (Json& element : *type) element = json_type(element, path + ".type");
}

void check_schema(Json& schema, const std::string& path);

void check_parts(Json& schema, const std::string& path) {
  for (const char* key : kMapsOfSchemas)
    if (const auto map = schema.find(key); map != schema.end()) {
      if (!map->is_object()) fail(fmt::format("{}.{}", path, key), "an object of schemas", *map);
      for (const auto& [name, part] : map->items())
        check_schema(part, fmt::format("{}.{}.{}", path, key, name));
    }
  for (const char* key : kListsOfSchemas)
    if (const auto list = schema.find(key); list != schema.end()) {
      if (!list->is_array()) fail(fmt::format("{}.{}", path, key), "a list of schemas", *list);
      for (Json& part : *list) check_schema(part, fmt::format("{}.{}", path, key));
    }
  for (const char* key : kSchemas)
    if (const auto part = schema.find(key); part != schema.end() && !part->is_array())
      check_schema(*part, fmt::format("{}.{}", path, key));
}

void check_schema(Json& schema, const std::string& path) {
  if (schema.is_boolean()) return;
  if (!schema.is_object()) fail(path, "a JSON schema: an object", schema);
  check_type(schema, path);
  if (const auto required = schema.find("required"); required != schema.end()) {
    const bool are_names = required->is_array() &&
                           std::ranges::all_of(*required, [](const Json& name) { return name.is_string(); });
    if (!are_names) fail(path + ".required", "a list of names", *required);
  }
  check_parts(schema, path);
}

}  // namespace

Json arguments_schema(const Json& schema, const std::string& path) {
  Json checked = schema;
  check_schema(checked, path);
  if (!checked.contains("type")) checked["type"] = "object";
  if (checked["type"] != "object") fail(path + ".type", "\"object\": arguments have names", schema["type"]);
  const bool is_combined =
      std::ranges::any_of(kCombinators, [&](const char* combinator) { return checked.contains(combinator); });
  if (!is_combined && !checked.contains("additionalProperties") && !checked.contains("patternProperties"))
    checked["additionalProperties"] = false;
  return checked;
}

}  // namespace lmdeploy
