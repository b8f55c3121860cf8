// What each form of a call, sound or damaged, is read as; that cuts change nothing is tool_outputs_test.
#include "text/tool_calls.h"

#include <gtest/gtest.h>

#include "text/tool_outputs.h"

namespace lmdeploy::testing {
namespace {

ParsedOutput parse(const char* format, std::string_view text, bool only_one = false) {
  ToolCallOptions options{.format = &get_tool_format(format), .names = {"add", "mul", "now"}};
  options.only_one = only_one;
  ToolCallParser parser(std::move(options));
  ParsedOutput output;
  output.add(parser.feed(text));
  output.add(parser.finish());
  output.all_whole = parser.all_whole();
  return output;
}

const ParsedOutput kAdd{.content = "", .calls = {{"add", R"({"a": 1, "b": 2})"}}};

TEST(ToolCalls, one_in_each_form) {
  EXPECT_EQ(parse("internlm",
                  "<|action_start|><|plugin|>\n{\"name\": \"add\", \"parameters\": {\"a\": 1, \"b\": 2}}"
                  "<|action_end|>"),
            kAdd);
  EXPECT_EQ(
      parse("hermes", "<tool_call>\n{\"name\": \"add\", \"arguments\": {\"a\": 1, \"b\": 2}}\n</tool_call>"),
      kAdd);
  EXPECT_EQ(parse("llama3_json", R"({"name": "add", "parameters": {"a": 1, "b": 2}})"), kAdd);
  EXPECT_EQ(parse("llama3_json",
                  R"(<|python_tag|>{"type": "function", "name": "add", "parameters": {"a": 1, "b": 2}})"),
            kAdd);
  EXPECT_EQ(parse("mistral", R"([TOOL_CALLS] [{"name": "add", "arguments": {"a": 1, "b": 2}}])"), kAdd);
  EXPECT_EQ(parse("mistral", R"([TOOL_CALLS]add{"a": 1, "b": 2})"), kAdd);
  EXPECT_EQ(parse("mistral", R"([TOOL_CALLS]add[ARGS]{"a": 1, "b": 2})"), kAdd);
  EXPECT_EQ(parse("mistral", R"([TOOL_CALLS]add[CALL_ID]a1B2c3D4e[ARGS]{"a": 1, "b": 2})"), kAdd);
}

TEST(ToolCalls, several_in_each_form) {
  const ParsedOutput both{.content = "", .calls = {{"add", R"({"a":1})"}, {"mul", R"({"b":2})"}}};
  EXPECT_EQ(parse("hermes",
                  "<tool_call>{\"name\":\"add\",\"arguments\":{\"a\":1}}</tool_call>\n"
                  "<tool_call>{\"name\":\"mul\",\"arguments\":{\"b\":2}}</tool_call>\n"),
            both);
  EXPECT_EQ(
      parse("llama3_json", R"({"name":"add","parameters":{"a":1}}; {"name":"mul","parameters":{"b":2}})"),
      both);
  EXPECT_EQ(parse("mistral",
                  R"([TOOL_CALLS][{"name":"add","arguments":{"a":1}}, {"name":"mul","arguments":{"b":2}}])"),
            both);
  EXPECT_EQ(parse("mistral", R"([TOOL_CALLS]add{"a":1}[TOOL_CALLS]mul{"b":2})"), both);
}

TEST(ToolCalls, only_one_drops_what_follows) {
  EXPECT_EQ(parse("hermes",
                  "<tool_call>{\"name\":\"add\",\"arguments\":{\"a\":1}}</tool_call>\n"
                  "<tool_call>{\"name\":\"mul\",\"arguments\":{\"b\":2}}</tool_call> and more",
                  true),
            (ParsedOutput{.content = "", .calls = {{"add", R"({"a":1})"}}}));
}

TEST(ToolCalls, arguments_of_all_kinds) {
  const auto arguments = [](const std::string& fields) {
    return parse("hermes", "<tool_call>{" + fields + "}</tool_call>").calls.at(0).second;
  };
  EXPECT_EQ(arguments(R"("name": "now")"), "{}");
  EXPECT_EQ(arguments(R"("name": "now", "arguments": null)"), "{}");
  EXPECT_EQ(arguments(R"("name": "now", "arguments": {})"), "{}");
  EXPECT_EQ(arguments(R"("name": "add", "parameters": {"a": [1, {"b": "}"}]})"), R"({"a": [1, {"b": "}"}]})");
  EXPECT_EQ(arguments(R"("arguments": {"a": 1}, "id": 7, "name": "add")"), R"({"a": 1})");
  EXPECT_EQ(arguments(R"("name": "add", "arguments": "{\"a\": \"\\u00e9\"}")"), "{\"a\": \"\\u00e9\"}");
}

TEST(ToolCalls, text_around_is_content) {
  const ParsedOutput output =
      parse("hermes", "I add.\n\n<tool_call>\n{\"name\": \"add\"}\n</tool_call>\n Done. ");
  EXPECT_EQ(output.content, "I add.\n Done.");
  EXPECT_EQ(output.calls.size(), 1U);
  EXPECT_EQ(parse("hermes", " no <tool> here \n").content, " no <tool> here \n");
}

// Nothing that has not begun is lost.
TEST(ToolCalls, damage_before_the_arguments_is_content) {
  for (const std::string text :
       {"<tool_call>", "<tool_call>\n{", "<tool_call>{\"name\": \"add\"", "<tool_call>{}</tool_call>",
        "<tool_call>add(1, 2)</tool_call>",
        "<tool_call>{\"name\": \"sub\", \"arguments\": {\"a\": 1}}</tool_call>",
        "<tool_call>{\"name\": 5, \"arguments\": {}}</tool_call>", "<tool_call>{'name': 'add'}</tool_call>",
        "<tool_call>{\"name\": \"add\", \"arguments\": [1]}</tool_call>",
        "<tool_call>{\"name\": \"add\", \"arguments\": \"x\"}</tool_call>", "<tool_call>[]", "<tool_cal"}) {
    const ParsedOutput output = parse("hermes", text);
    EXPECT_EQ(output.content, text);
    EXPECT_TRUE(output.calls.empty()) << text;
  }
  EXPECT_EQ(parse("mistral", "[TOOL_CALLS]sub{}").content, "[TOOL_CALLS]sub{}");
  EXPECT_EQ(parse("mistral", "[TOOL_CALLS]add[ARG]{}").content, "[TOOL_CALLS]add[ARG]{}");
  EXPECT_EQ(parse("llama3_json", R"({"a": {"name": "add"}})").content, R"({"a": {"name": "add"}})");
  EXPECT_EQ(parse("internlm", "<|action_start|><|interpreter|>\nprint(1)<|action_end|>").content,
            "<|action_start|><|interpreter|>\nprint(1)<|action_end|>");
}

TEST(ToolCalls, damage_within_the_arguments_keeps_what_came) {
  ParsedOutput output =
      parse("hermes", "<tool_call>{\"name\": \"add\", \"arguments\": {\"a\": 1, b}}</tool_call>");
  EXPECT_EQ(output.calls, (std::vector<std::pair<std::string, std::string>>{{"add", "{\"a\": 1, "}}));
  EXPECT_EQ(output.content, "b}}");
  EXPECT_FALSE(output.all_whole);
  output = parse("hermes", "<tool_call>{\"name\": \"add\", \"arguments\": {\"a\": 1");
  EXPECT_EQ(output.calls.at(0).second, "{\"a\": 1");
  EXPECT_FALSE(output.all_whole);
}

TEST(ToolCalls, a_second_marker_after_damage_is_found) {
  const ParsedOutput output = parse("hermes", "<tool_call>oh <tool_call>{\"name\": \"now\"}</tool_call>");
  EXPECT_EQ(output.content, "<tool_call>oh");
  EXPECT_EQ(output.calls.size(), 1U);
}

TEST(ToolCalls, hidden_markers_are_never_content) {
  ToolCallParser parser({.format = &get_tool_format("internlm"),
                         .names = {"add"},
                         .hidden = {"<|action_start|>", "<|plugin|>", "<|action_end|>"}});
  ParsedOutput output;
  output.add(
      parser.feed("a <|action_end|>b <|action_start|><|plugin|>\n{\"name\": \"sub\"}<|action_end|> c"));
  output.add(parser.finish());
  EXPECT_EQ(output.content, "a b \n{\"name\": \"sub\"} c");
}

TEST(ToolCalls, llama_is_read_at_the_beginning_only) {
  EXPECT_EQ(parse("llama3_json", R"(Use {"name": "add"})").content, R"(Use {"name": "add"})");
  EXPECT_EQ(parse("llama3_json", R"( {"name": "now"} done)"),
            (ParsedOutput{.content = "done", .calls = {{"now", "{}"}}}));
}

TEST(ToolCalls, the_name_comes_before_the_arguments_and_these_as_they_come) {
  ToolCallParser parser({.format = &get_tool_format("hermes"), .names = {"add"}});
  EXPECT_TRUE(parser.feed("<tool_call>{\"name\": \"add\", \"arguments\": ").calls.empty());
  EXPECT_EQ(parser.feed("{").calls, (std::vector<ToolCallDelta>{{0, "add", "{"}}));
  EXPECT_EQ(parser.feed("\"a\"").calls, (std::vector<ToolCallDelta>{{0, "", "\"a\""}}));
  EXPECT_EQ(parser.feed(": 1}}").calls, (std::vector<ToolCallDelta>{{0, "", ": 1}"}}));
}

TEST(ToolFormat, a_call_is_read_as_it_is_written) {
  for (const ToolFormat& format : tool_formats()) {
    const CallText around = call_text(format, "add");
    EXPECT_EQ(parse(std::string(format.name).c_str(), around.before + R"({"a": 1, "b": 2})" + around.behind),
              kAdd)
        << format.name;
  }
  EXPECT_EQ(find_tool_format("qwen3"), find_tool_format("hermes"));
  EXPECT_EQ(find_tool_format("nonsense"), nullptr);
}

}  // namespace
}  // namespace lmdeploy::testing
