#include "checkpoint/json_fields.h"

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/error.h"
#include "base/exact_integer.h"

namespace lmdeploy {
namespace {

using nlohmann::json;

std::optional<std::int64_t> find_whole(const json& value) {
  if (value.is_number_float()) return exact_integer(value.get<double>());
  if (!value.is_number_integer()) return std::nullopt;
  if (value.is_number_unsigned() && !std::in_range<std::int64_t>(value.get<std::uint64_t>()))
    return std::nullopt;
  return value.get<std::int64_t>();
}

std::string shortened(std::string text) {
  constexpr std::size_t kMaxShown = 120;
  if (text.size() > kMaxShown) text = text.substr(0, kMaxShown) + "...";
  return text;
}

}  // namespace

void JsonFields::wrong(const char* field, const std::string& expected) const {
  const auto found = object_.find(field);
  // A value may hold text of any kind; replacing what is not UTF-8 keeps the message printable.
  const std::string value =
      found == object_.end()
          ? "nothing"
          : shortened(found->dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  throw Error(fmt::format("{}: {} must be {}, found {}", origin_, field, expected, value),
              "Correct the file, or override the field with --hf-overrides.");
}

const json* JsonFields::find(const char* field) const {
  const auto found = object_.find(field);
  return found == object_.end() || found->is_null() ? nullptr : &*found;
}

std::optional<std::int64_t> JsonFields::find_int(const char* field, IntRange range) const {
  const json* value = find(field);
  if (value == nullptr) return std::nullopt;
  const std::optional<std::int64_t> number = find_whole(*value);
  if (!number || *number < range.min || *number > range.max)
    wrong(field, fmt::format("a whole number from {} to {}", range.min, range.max));
  return number;
}

std::int64_t JsonFields::get_int(const char* field, IntRange range) const {
  const std::optional<std::int64_t> number = find_int(field, range);
  if (!number) wrong(field, fmt::format("a whole number from {} to {}", range.min, range.max));
  return *number;
}

std::optional<double> JsonFields::find_number(const char* field) const {
  const json* value = find(field);
  if (value == nullptr) return std::nullopt;
  if (!value->is_number() || !std::isfinite(value->get<double>())) wrong(field, "a finite number");
  return value->get<double>();
}

std::optional<double> JsonFields::find_positive(const char* field) const {
  const std::optional<double> number = find_number(field);
  if (number && *number <= 0) wrong(field, "a number above 0");
  return number;
}

std::optional<bool> JsonFields::find_bool(const char* field) const {
  const json* value = find(field);
  if (value == nullptr) return std::nullopt;
  if (!value->is_boolean()) wrong(field, "true or false");
  return value->get<bool>();
}

std::optional<std::string> JsonFields::find_string(const char* field) const {
  const json* value = find(field);
  if (value == nullptr) return std::nullopt;
  if (!value->is_string()) wrong(field, "a string");
  return value->get<std::string>();
}

std::optional<std::vector<std::string>> JsonFields::find_strings(const char* field) const {
  const json* value = find(field);
  if (value == nullptr) return std::nullopt;
  if (!value->is_array()) wrong(field, "a list of strings");
  std::vector<std::string> result;
  for (const json& item : *value) {
    if (!item.is_string()) wrong(field, "a list of strings");
    result.push_back(item.get<std::string>());
  }
  return result;
}

std::vector<std::int32_t> JsonFields::find_token_ids(const char* field) const {
  const json* value = find(field);
  if (value == nullptr) return {};
  const json list = value->is_array() ? *value : json::array({*value});
  std::vector<std::int32_t> result;
  for (const json& item : list) {
    const std::optional<std::int64_t> id = find_whole(item);
    if (!id || *id > std::numeric_limits<std::int32_t>::max())
      wrong(field, "a token id or a list of token ids");
    if (*id >= 0) result.push_back(static_cast<std::int32_t>(*id));
  }
  return result;
}

std::optional<std::int32_t> JsonFields::find_token_id(const char* field) const {
  const std::vector<std::int32_t> ids = find_token_ids(field);
  if (ids.size() > 1) wrong(field, "one token id");
  return ids.empty() ? std::nullopt : std::optional(ids.front());
}

}  // namespace lmdeploy
