#pragma once
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <string_view>

namespace lmdeploy {

// A field that changes the arithmetic, with the values of it (a JSON list) that mean what we compute. null
// always does.
struct HonouredField {
  std::string_view field;
  std::string_view values;
};

// What is known of the fields of a JSON object: those that a struct reads, those that change nothing, and
// those of which only some values are honoured.
struct FieldTable {
  std::span<const std::string_view> read;
  std::span<const std::string_view> harmless;
  std::span<const HonouredField> honoured;
};

// Throws Error where a field would change the arithmetic and is not honoured (by name, with the value found
// and those that are supported); lists what is not known in one warning. Names that begin with "_" are
// private to the program that wrote them.
void check_fields(const nlohmann::json& object, const std::string& origin, const FieldTable& table);

// A value for a message: printable, not too long.
std::string shown(const nlohmann::json& value);

}  // namespace lmdeploy
