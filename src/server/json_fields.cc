#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>

#include "server/api_error.h"
#include "server/json.h"

namespace lmdeploy {
namespace {

constexpr std::size_t kMaxQuotedBytes = 60;

}  // namespace

std::string dump_json(const Json& value) {
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string describe(const Json& value) {
  if (value.is_null()) return "null";
  if (value.is_structured())
    return fmt::format("{} of {}", value.is_array() ? "a list" : "an object", value.size());
  std::string text = dump_json(value);
  if (text.size() > kMaxQuotedBytes) text = dump_json(text.substr(0, kMaxQuotedBytes)) + "...";
  return fmt::format("{} ({})", text, value.type_name());
}

std::optional<std::int64_t> to_integer(const Json& value) {
  if (value.is_number_unsigned()) {
    const auto number = value.get<std::uint64_t>();
    if (number > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) return std::nullopt;
    return static_cast<std::int64_t>(number);
  }
  if (value.is_number_integer()) return value.get<std::int64_t>();
  if (!value.is_number_float()) return std::nullopt;
  const auto number = value.get<double>();
  constexpr double kMaxExact = 9007199254740992;  // 2^53: beyond it the text's integer may be another one
  if (std::abs(number) > kMaxExact || number != std::trunc(number)) return std::nullopt;
  return static_cast<std::int64_t>(number);
}

JsonFields::JsonFields(const Json& object, std::string path, FieldNotes* notes)
    : object_(object), path_(std::move(path)), notes_(notes) {
  if (object_.is_object()) return;
  throw ApiError(
      400,
      fmt::format("{}: expected an object, found {}", path_.empty() ? "the body" : path_, describe(object_)),
      {.param = path_});
}

std::string JsonFields::path_of(std::string_view name) const {
  return path_.empty() ? std::string(name) : fmt::format("{}.{}", path_, name);
}

void JsonFields::fail(std::string_view name, std::string_view expected, const Json& found) const {
  throw ApiError(400, fmt::format("{}: expected {}, found {}", path_of(name), expected, describe(found)),
                 {.param = path_of(name)});
}

const Json* JsonFields::find(std::string_view name) {
  known_.emplace(name);
  const auto found = object_.find(name);
  return found == object_.end() || found->is_null() ? nullptr : &*found;
}

void JsonFields::note(std::string_view name, FieldNote what) {
  if (notes_ == nullptr) return;
  what.path = path_of(name);
  notes_->push_back(std::move(what));
}

const Json* JsonFields::any(std::string_view name) {
  note(name, {});
  return find(name);
}

std::optional<bool> JsonFields::boolean(std::string_view name) {
  note(name, {.type = FieldNote::Type::boolean});
  const Json* value = find(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_boolean()) fail(name, "true or false", *value);
  return value->get<bool>();
}

std::optional<std::string> JsonFields::string(std::string_view name) {
  note(name, {.type = FieldNote::Type::string});
  const Json* value = find(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_string()) fail(name, "a string", *value);
  return value->get<std::string>();
}

std::optional<std::int64_t> JsonFields::integer(std::string_view name, std::int64_t min, std::int64_t max) {
  note(name, {.type = FieldNote::Type::integer, .min = min, .max = max});
  const Json* value = find(name);
  if (value == nullptr) return std::nullopt;
  const auto number = to_integer(*value);
  if (!number || *number < min || *number > max)
    fail(name, fmt::format("an integer from {} to {}", min, max), *value);
  return number;
}

std::optional<double> JsonFields::number(std::string_view name, double min, double max) {
  note(name, {.type = FieldNote::Type::number, .min = min, .max = max});
  const Json* value = find(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_number() || !(value->get<double>() >= min && value->get<double>() <= max))
    fail(name, fmt::format("a number from {} to {}", min, max), *value);
  return value->get<double>();
}

const Json* JsonFields::object(std::string_view name) {
  note(name, {.type = FieldNote::Type::object});
  const Json* value = find(name);
  if (value != nullptr && !value->is_object()) fail(name, "an object", *value);
  return value;
}

void JsonFields::neutral(std::string_view name, std::initializer_list<Json> neutral) {
  if (notes_ != nullptr) note(name, {.type = FieldNote::Type::unsupported, .neutral = neutral});
  const Json* value = find(name);
  if (value == nullptr) return;
  for (const Json& allowed : neutral)
    if (*value == allowed) return;
  std::vector<std::string> texts{"nothing"};
  for (const Json& allowed : neutral) texts.push_back(dump_json(allowed));
  throw ApiError(400,
                 fmt::format("{} is not supported by this server yet: expected {}, found {}", path_of(name),
                             fmt::join(texts, " or "), describe(*value)),
                 {.param = path_of(name), .code = "unsupported_parameter"});
}

void JsonFields::refuse_unknown() const {
  for (const auto& [name, value] : object_.items())
    if (!known_.contains(name)) {
      const std::string path = path_of(std::string_view(name).substr(0, kMaxQuotedBytes));
      throw ApiError(400, fmt::format("{}: unknown field", path),
                     {.param = path, .code = "unknown_parameter"});
    }
}

}  // namespace lmdeploy
