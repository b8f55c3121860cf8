#include "checkpoint/field_table.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/error.h"
#include "base/log.h"

namespace lmdeploy {
namespace {

using nlohmann::json;

bool contains(std::span<const std::string_view> names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

void check_honoured(const HonouredField& rule, const json& value, const std::string& origin) {
  const json values = json::parse(rule.values);
  if (std::find(values.begin(), values.end(), value) != values.end()) return;
  throw Error(fmt::format("{}: {} = {} changes what the model computes and is not supported", origin,
                          rule.field, shown(value)),
              values.empty() ? fmt::format("Only models without {} can be run.", rule.field)
                             : fmt::format("Supported values of {}: {}.", rule.field, shown(values)));
}

}  // namespace

std::string shown(const json& value) {
  constexpr std::size_t kMaxShown = 160;
  std::string text = value.dump(-1, ' ', false, json::error_handler_t::replace);
  return text.size() > kMaxShown ? text.substr(0, kMaxShown) + "..." : text;
}

void check_fields(const json& object, const std::string& origin, const FieldTable& table) {
  std::vector<std::string> unknown;
  for (const auto& [field, value] : object.items()) {
    if (contains(table.read, field) || contains(table.harmless, field) || field.starts_with('_') ||
        value.is_null())
      continue;
    const auto rule = std::find_if(table.honoured.begin(), table.honoured.end(),
                                   [&name = field](const HonouredField& item) { return item.field == name; });
    if (rule != table.honoured.end())
      check_honoured(*rule, value, origin);
    else
      unknown.push_back(fmt::format("{} = {}", field, shown(value)));
  }
  if (!unknown.empty())
    log::warn("{}: fields that are not known here are ignored: {}", origin, fmt::join(unknown, ", "));
}

}  // namespace lmdeploy
