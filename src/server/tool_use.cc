#include "server/tool_use.h"

#include <fmt/format.h>

#include <algorithm>

#include "server/api_error.h"
#include "server/tool_schema.h"

namespace lmdeploy {
namespace {

constexpr std::size_t kMaxNameBytes = 64;  // OpenAI's

bool is_function_name(const std::string& name) {
  constexpr std::string_view kOthers = "_-";
  return !name.empty() && name.size() <= kMaxNameBytes && std::ranges::all_of(name, [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           kOthers.find(c) != kOthers.npos;
  });
}

std::string parse_name(JsonFields& fields) {
  const auto name = fields.string("name");
  if (!name || !is_function_name(*name))
    fields.fail("name", fmt::format("1 to {} of a-z A-Z 0-9 _ -", kMaxNameBytes),
                name ? Json(*name) : Json(nullptr));
  return *name;
}

ToolDefinition parse_tool(const Json& tool, const std::string& path, const RequestLimits& limits) {
  JsonFields fields(tool, path);
  const auto type = fields.string("type");
  if (type != "function") fields.fail("type", "\"function\"", type ? Json(*type) : Json(nullptr));
  const Json* function = fields.object("function");
  if (function == nullptr) fields.fail("function", "an object", nullptr);
  fields.refuse_unknown();
  return parse_function(*function, path + ".function", limits);
}

void parse_choice_object(const Json& choice, ToolUse& use) {
  JsonFields fields(choice, "tool_choice");
  const auto type = fields.string("type");
  if (type != "function") fields.fail("type", "\"function\"", type ? Json(*type) : Json(nullptr));
  const Json* function = fields.object("function");
  if (function == nullptr) fields.fail("function", "an object with the name of a tool", nullptr);
  fields.refuse_unknown();
  JsonFields function_fields(*function, "tool_choice.function");
  use.named = parse_name(function_fields);
  use.choice = ToolUse::Choice::named;
  function_fields.refuse_unknown();
}

void parse_choice(JsonFields& fields, ToolUse& use) {
  const Json* choice = fields.any("tool_choice");
  if (choice == nullptr) return;
  if (choice->is_object())
    parse_choice_object(*choice, use);
  else if (*choice == "none")
    use.choice = ToolUse::Choice::none;
  else if (*choice == "required")
    use.choice = ToolUse::Choice::required;
  else if (*choice != "auto")
    fields.fail("tool_choice",
                R"("none", "auto", "required", or {"type": "function", "function": {"name": ...}})", *choice);
}

}  // namespace

ToolDefinition parse_function(const Json& function, const std::string& path, const RequestLimits& limits) {
  JsonFields fields(function, path);
  ToolDefinition tool{.name = parse_name(fields), .function = function, .parameters = {}};
  fields.string("description");
  fields.boolean("strict");  // arguments always fit
  const Json* parameters = fields.object("parameters");
  fields.refuse_unknown();
  if (parameters != nullptr && parameters->dump().size() > limits.max_schema_bytes)
    fields.fail("parameters", fmt::format("a schema of at most {} bytes", limits.max_schema_bytes),
                *parameters);
  tool.parameters =
      arguments_schema(parameters == nullptr ? Json::object() : *parameters, fields.path_of("parameters"));
  return tool;
}

ToolUse parse_tool_use(JsonFields& fields, const RequestLimits& limits) {
  ToolUse use;
  use.parallel = fields.boolean("parallel_tool_calls").value_or(true);
  parse_choice(fields, use);
  use.tools = parse_tool_list(fields, limits, parse_tool);
  check_tool_use(use);
  return use;
}

std::vector<ToolDefinition> parse_tool_list(JsonFields& fields, const RequestLimits& limits,
                                            ParseTool* parse) {
  const Json* list = fields.any("tools");
  if (list == nullptr) return {};
  if (!list->is_array() || list->size() > limits.max_tools)
    fields.fail("tools", fmt::format("a list of at most {} tools", limits.max_tools), *list);
  std::vector<ToolDefinition> tools;
  for (const Json& tool : *list) tools.push_back(parse(tool, fmt::format("tools[{}]", tools.size()), limits));
  return tools;
}

void check_tool_use(const ToolUse& use) {
  for (std::size_t i = 0; i < use.tools.size(); ++i)
    for (std::size_t other = 0; other < i; ++other)
      if (use.tools[i].name == use.tools[other].name)
        throw ApiError(
            400, fmt::format("tools[{}]: the name \"{}\" is that of tools[{}]", i, use.tools[i].name, other),
            {.param = fmt::format("tools[{}]", i)});
  if (use.choice == ToolUse::Choice::required && use.tools.empty())
    throw ApiError(400, "tool_choice: expected \"none\" or \"auto\" without tools, found \"required\"",
                   {.param = "tool_choice"});
  if (use.choice == ToolUse::Choice::named &&
      std::ranges::find(use.tools, use.named, &ToolDefinition::name) == use.tools.end())
    throw ApiError(400,
                   fmt::format("tool_choice: expected the name of one of the tools, found \"{}\"", use.named),
                   {.param = "tool_choice"});
}

Json template_tools(const ToolUse& use) {
  if (!use.may_call()) return nullptr;
  Json tools = Json::array();
  for (const ToolDefinition& tool : use.tools)
    tools.push_back({{"type", "function"}, {"function", tool.function}});
  return tools;
}

}  // namespace lmdeploy
