#include <fmt/format.h>

#include "server/api_error.h"
#include "server/responses_fields.h"

namespace lmdeploy {
namespace {

[[noreturn]] void refuse_type(const std::string& path, const Json& type) {
  throw ApiError(
      400,
      fmt::format("{}.type: only \"function\" is supported by this server, found {}", path, describe(type)),
      {.param = path + ".type", .code = "unsupported_parameter"});
}

// The chat's function, with the type beside its name. Other types run at OpenAI.
ToolDefinition parse_tool(const Json& tool, const std::string& path, const RequestLimits& limits) {
  JsonFields fields(tool, path);
  const Json type = fields.string("type").value_or("");
  if (type != "function") refuse_type(path, type);
  Json function = Json::object();
  for (const char* name : {"name", "description", "parameters", "strict"})
    if (const Json* value = fields.any(name)) function[name] = *value;
  fields.neutral("defer_loading", {false});
  fields.neutral("allowed_callers", {Json::array({"direct"})});
  for (const char* name : {"output_schema", "async"}) fields.neutral(name, {});
  fields.refuse_unknown();
  return parse_function(function, path, limits);
}

void parse_choice(JsonFields& fields, ToolUse& use) {
  const Json* choice = fields.any("tool_choice");
  if (choice == nullptr || *choice == "auto") return;
  if (*choice == "none") {
    use.choice = ToolUse::Choice::none;
  } else if (*choice == "required") {
    use.choice = ToolUse::Choice::required;
  } else if (choice->is_object()) {
    JsonFields named(*choice, "tool_choice");
    const Json type = named.string("type").value_or("");
    if (type != "function") refuse_type("tool_choice", type);
    const auto name = named.string("name");
    if (!name) named.fail("name", "the name of one of the tools", nullptr);
    named.refuse_unknown();
    use.choice = ToolUse::Choice::named;
    use.named = *name;
  } else {
    fields.fail("tool_choice", R"("none", "auto", "required", or {"type": "function", "name": ...})",
                *choice);
  }
}

}  // namespace

ToolUse parse_response_tools(JsonFields& fields, const RequestLimits& limits) {
  ToolUse use;
  use.parallel = fields.boolean("parallel_tool_calls").value_or(true);
  parse_choice(fields, use);
  use.tools = parse_tool_list(fields, limits, parse_tool);
  check_tool_use(use);
  return use;
}

}  // namespace lmdeploy
