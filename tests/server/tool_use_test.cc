#include "server/tool_use.h"

#include <gtest/gtest.h>

#include "server/api_error.h"

namespace lmdeploy {
namespace {

Json tool(const std::string& name, const Json& parameters = Json::object()) {
  return {{"type", "function"}, {"function", {{"name", name}, {"parameters", parameters}}}};
}

Json body(const Json& tools, const Json& choice = nullptr) {
  return {{"tools", tools}, {"tool_choice", choice}};
}

ToolUse parse(const Json& json) {
  JsonFields fields(json, "");
  return parse_tool_use(fields, {});
}

// The field for which the body is refused; empty where it is taken.
std::string refusal(const Json& json) {
  try {
    parse(json);
  } catch (const ApiError& error) {
    const Json param = parse_json(error.response().body)["error"]["param"];
    return param.is_string() ? param.get<std::string>() : "?";
  }
  return {};
}

std::string schema_refusal(const char* schema) {
  return refusal(body(Json::array({tool("f", parse_json(schema))})));
}

TEST(ToolUse, choices) {
  const Json tools = Json::array({tool("add"), tool("mul")});
  EXPECT_EQ(parse(body(tools)).choice, ToolUse::Choice::automatic);
  EXPECT_EQ(parse(body(tools, "auto")).choice, ToolUse::Choice::automatic);
  EXPECT_EQ(parse(body(tools, "required")).choice, ToolUse::Choice::required);
  EXPECT_FALSE(parse(body(tools, "none")).may_call());
  const Json named{{"type", "function"}, {"function", {{"name", "mul"}}}};
  EXPECT_EQ(parse(body(tools, named)).named, "mul");
  EXPECT_TRUE(parse(body(tools, named)).must_call());
  EXPECT_TRUE(parse(body(tools)).parallel);
  EXPECT_FALSE(parse({{"parallel_tool_calls", false}}).parallel);
  EXPECT_FALSE(parse(Json::object()).may_call());
}

TEST(ToolUse, wrong_choices_are_refused) {
  const Json tools = Json::array({tool("add")});
  EXPECT_EQ(refusal(body(tools, "any")), "tool_choice");
  EXPECT_EQ(refusal(body(tools, 7)), "tool_choice");
  EXPECT_EQ(refusal(body(tools, {{"type", "allowed_tools"}})), "tool_choice.type");
  EXPECT_EQ(refusal(body(tools, {{"type", "function"}})), "tool_choice.function");
  EXPECT_EQ(refusal(body(tools, {{"type", "function"}, {"function", {{"name", "sub"}}}})), "tool_choice");
  EXPECT_EQ(refusal(body(Json::array(), "required")), "tool_choice");
  EXPECT_EQ(refusal(body(nullptr, "required")), "tool_choice");
}

TEST(ToolUse, definitions_are_checked) {
  EXPECT_EQ(refusal({{"tools", "x"}}), "tools");
  EXPECT_EQ(refusal(body(Json::array({7}))), "tools[0]");
  EXPECT_EQ(refusal(body(Json::array({{{"type", "web_search"}}}))), "tools[0].type");
  EXPECT_EQ(refusal(body(Json::array({{{"type", "function"}}}))), "tools[0].function");
  EXPECT_EQ(refusal(body(Json::array({tool("add"), tool("add")}))), "tools[1]");
  for (const char* name : {"", "with space", "naïve", "a.b", "a\"b"})
    EXPECT_EQ(refusal(body(Json::array({tool(name)}))), "tools[0].function.name") << name;
  EXPECT_EQ(refusal(body(Json::array({tool(std::string(65, 'a'))}))), "tools[0].function.name");
  EXPECT_EQ(refusal(body(Json::array({tool(std::string(64, 'a'))}))), "");
  Json many = Json::array();
  for (int i = 0; i < 129; ++i) many.push_back(tool("f" + std::to_string(i)));
  EXPECT_EQ(refusal(body(many)), "tools");
  many.erase(0);
  EXPECT_EQ(refusal(body(many)), "");
  const Json large{{"description", std::string(300'000, 'x')}};
  EXPECT_EQ(refusal(body(Json::array({tool("f", large)}))), "tools[0].function.parameters");
}

TEST(ToolUse, schemas_are_checked) {
  const std::string at = "tools[0].function.parameters";
  EXPECT_EQ(schema_refusal(R"({"type":"array"})"), at + ".type");
  EXPECT_EQ(schema_refusal(R"({"type":"objekt"})"), at + ".type");
  EXPECT_EQ(schema_refusal(R"({"properties":[]})"), at + ".properties");
  EXPECT_EQ(schema_refusal(R"({"properties":{"a":{"type":"whole"}}})"), at + ".properties.a.type");
  EXPECT_EQ(schema_refusal(R"({"properties":{"a":{"items":{"type":7}}}})"), at + ".properties.a.items.type");
  EXPECT_EQ(schema_refusal(R"({"properties":{"a":7}})"), at + ".properties.a");
  EXPECT_EQ(schema_refusal(R"({"required":"a"})"), at + ".required");
  EXPECT_EQ(schema_refusal(R"({"anyOf":{}})"), at + ".anyOf");
  EXPECT_EQ(schema_refusal(R"({"type":"object","properties":{"a":{"type":["string","null"]},"b":true}})"),
            "");
}

TEST(ToolUse, pythons_types_are_understood) {
  const ToolUse use = parse(body(Json::array(
      {tool("f", parse_json(R"({"type":"dict","properties":{"a":{"type":"int"},"b":{"type":["str","None"]},)"
                            R"("c":{"type":"list","items":{"type":"float"}},"type":{"type":"bool"}}})"))})));
  EXPECT_EQ(use.tools[0].parameters.dump(),
            R"({"type":"object","properties":{"a":{"type":"integer"},"b":{"type":["string","null"]},)"
            R"("c":{"type":"array","items":{"type":"number"}},"type":{"type":"boolean"}},)"
            R"("additionalProperties":false})");
  // The template sees what the client wrote.
  EXPECT_EQ(template_tools(use)[0]["function"]["parameters"]["properties"]["a"]["type"], "int");
}

TEST(ToolUse, a_function_without_parameters_takes_none) {
  const Json plain{{"type", "function"}, {"function", {{"name", "now"}}}};
  EXPECT_EQ(parse(body(Json::array({plain}))).tools[0].parameters.dump(),
            R"({"type":"object","additionalProperties":false})");
  EXPECT_EQ(template_tools(parse(body(Json::array({plain})))), Json::array({plain}));
  EXPECT_TRUE(template_tools(parse(body(Json::array({plain}), "none"))).is_null());
}

}  // namespace
}  // namespace lmdeploy
