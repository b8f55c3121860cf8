#include <fmt/format.h>

#include "server/anthropic_fields.h"
#include "server/api_error.h"

namespace lmdeploy {
namespace {

// OpenAI's way to write a tool that the client runs itself; others run at Anthropic.
ToolDefinition parse_tool(const Json& tool, const std::string& path, const RequestLimits& limits) {
  JsonFields fields(tool, path);
  const auto type = fields.string("type");
  if (type && *type != "custom")
    throw ApiError(
        400,
        fmt::format("{}.type: only tools of type \"custom\" are supported by this server, found {}", path,
                    describe(*type)),
        {.param = path + ".type", .code = "unsupported_parameter"});
  Json function = Json::object();
  if (const Json* name = fields.any("name")) function["name"] = *name;
  if (const auto description = fields.string("description")) function["description"] = *description;
  const Json* schema = fields.object("input_schema");
  if (schema == nullptr) fields.fail("input_schema", "a JSON schema", nullptr);
  function["parameters"] = *schema;
  fields.object("cache_control");           // a hint: prefixes are found without
  fields.boolean("strict");                 // arguments always fit
  fields.boolean("eager_input_streaming");  // they always come as they are made
  fields.neutral("defer_loading", {false});
  fields.neutral("input_examples", {Json::array()});
  fields.neutral("allowed_callers", {Json::array({"direct"})});
  fields.refuse_unknown();
  return parse_function(function, path, limits);
}

void parse_choice(JsonFields& fields, ToolUse& use) {
  const Json* object = fields.object("tool_choice");
  if (object == nullptr) return;
  JsonFields choice(*object, "tool_choice");
  const Json type = choice.string("type").value_or("");
  if (type == "tool") {
    use.choice = ToolUse::Choice::named;
    const auto name = choice.string("name");
    if (!name) choice.fail("name", "the name of one of the tools", nullptr);
    use.named = *name;
  } else if (type == "any") {
    use.choice = ToolUse::Choice::required;
  } else if (type == "none") {
    use.choice = ToolUse::Choice::none;
  } else if (type != "auto") {
    choice.fail("type", "auto, any, tool or none", type);
  }
  if (type != "none") use.parallel = !choice.boolean("disable_parallel_tool_use").value_or(false);
  choice.refuse_unknown();
}

}  // namespace

ToolUse parse_anthropic_tools(JsonFields& fields, const RequestLimits& limits) {
  ToolUse use;
  parse_choice(fields, use);
  use.tools = parse_tool_list(fields, limits, parse_tool);
  check_tool_use(use);
  return use;
}

}  // namespace lmdeploy
