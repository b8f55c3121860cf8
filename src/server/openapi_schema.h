#pragma once
// From what a parser asks to JSON Schema (draft 2020-12, as OpenAPI 3.1 has it).
#include "server/json.h"

namespace lmdeploy {

// What the parser cannot tell of a field.
struct FieldText {
  std::string_view path;  // as FieldNote::path
  std::string_view description;
  std::string_view default_json = {};  // the value that holds where the field is not given; empty: none
  std::string_view schema_json = {};   // of a field of which the parser notes no type
};

// The schema of the object whose fields were noted. `required`: names of the object's own fields.
Json object_schema(const FieldNotes& notes, const std::vector<FieldText>& texts,
                   const std::vector<std::string>& required);

}  // namespace lmdeploy
