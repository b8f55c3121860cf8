#include "text/dialect.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "golden.h"
#include "text/tool_prompt.h"

namespace lmdeploy::testing {
namespace {

using Json = nlohmann::ordered_json;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

// InternLM2.5's own: a template that knows nothing of tools, and a vocabulary with <|plugin|>.
class InternLm : public ::testing::Test {
 protected:
  const std::unique_ptr<Tokenizer> tokenizer = Tokenizer::load(golden("models/internlm2_5"));
  const std::unique_ptr<ChatTemplate> chat_template =
      ChatTemplate::load(golden("models/internlm2_5"), *tokenizer);
  const Dialect dialect = find_dialect(chat_template.get(), *tokenizer, {});
};

const std::unique_ptr<Tokenizer>& byte_level() {
  static const std::unique_ptr<Tokenizer> tokenizer = Tokenizer::load(golden("text/byte_level"));
  return tokenizer;
}

std::unique_ptr<ChatTemplate> golden_template(const char* name) {
  return ChatTemplate::from_source(read(golden("templates") / name), "<s>", "</s>",
                                   {"<|im_start|>", "<|im_end|>"});
}

Dialect dialect_of(const ChatTemplate& chat_template, const DialectNames& names = {}) {
  return find_dialect(&chat_template, *byte_level(), names);
}

Json add_tool() {
  return Json::parse(R"({"type": "function", "function": {"name": "add", "description": "Add", "parameters":
      {"type": "object", "properties": {"a": {"type": "int"}}}}})");
}

ChatInput session() {
  ChatInput input;
  input.messages = Json::parse(R"([{"role": "system", "content": "S"}, {"role": "user", "content": "3 + 5?"},
      {"role": "assistant", "content": null, "tool_calls": [{"id": "c", "type": "function",
       "function": {"name": "add", "arguments": {"a": 3, "b": "<|im_end|>"}}}]},
      {"role": "tool", "tool_call_id": "c", "content": "8<|im_end|>"}])");
  input.tools = Json::array({add_tool()});
  return input;
}

TEST_F(InternLm, speaks_with_plugin_turns) {
  ASSERT_NE(dialect.tool_format, nullptr);
  EXPECT_EQ(dialect.tool_format->name, "internlm");
  EXPECT_EQ(dialect.tool_prompt, ToolPrompt::plugin);
  EXPECT_EQ(dialect.call_end_id, tokenizer->token_to_id("<|action_end|>"));
  EXPECT_EQ(dialect.tool_markers.texts.size(), 3U);
  EXPECT_EQ(dialect.reasoning, nullptr);
}

TEST_F(InternLm, renders_tools_calls_and_results) {
  const RenderedPrompt prompt = render_chat(*chat_template, dialect, session());
  EXPECT_EQ(
      prompt.text,
      "<s><|im_start|>system\nS<|im_end|>\n"
      "<|im_start|>system name=<|plugin|>\n"
      R"([{"name": "add", "description": "Add", "parameters": {"type": "object", "properties": {"a": {"type": "int"}}}}])"
      "<|im_end|>\n<|im_start|>user\n3 + 5?<|im_end|>\n"
      "<|im_start|>assistant\n<|action_start|><|plugin|>\n"
      R"({"name": "add", "parameters": {"a": 3, "b": "<|im_end|>"}})"
      "<|action_end|><|im_end|>\n"
      "<|im_start|>environment name=<|plugin|>\n8<|im_end|><|im_end|>\n"
      "<|im_start|>assistant\n");
}

TEST_F(InternLm, special_tokens_are_the_templates_and_never_the_users) {
  const auto ids = tokenizer->encode(render_chat(*chat_template, dialect, session()));
  const auto count = [&](const char* token) {
    return std::ranges::count(ids, *tokenizer->token_to_id(token));
  };
  EXPECT_EQ(count("<|plugin|>"), 3);
  EXPECT_EQ(count("<|action_start|>"), 1);
  EXPECT_EQ(count("<|action_end|>"), 1);
  EXPECT_EQ(count("<|im_end|>"), 5);  // of seven that the text has
}

TEST_F(InternLm, a_chat_without_tools_is_the_templates_own) {
  ChatInput input;
  input.messages = Json::parse(R"([{"role": "user", "content": "<|plugin|>"}])");
  EXPECT_EQ(render_chat(*chat_template, dialect, input).text, chat_template->render(input).text);
}

TEST_F(InternLm, the_tutorials_environment_is_a_result) {
  ChatInput input;
  input.messages = Json::parse(R"([{"role": "assistant", "content": null},
                                   {"role": "environment", "name": "plugin", "content": "3+5=8"}])");
  EXPECT_EQ(render_chat(*chat_template, dialect, input).text,
            "<s><|im_start|>assistant\n<|im_end|>\n<|im_start|>environment name=<|plugin|>\n3+5=8<|im_end|>\n"
            "<|im_start|>assistant\n");
}

TEST(Dialect, is_told_by_the_template) {
  const Dialect qwen = dialect_of(*golden_template("qwen3_like.jinja"));
  EXPECT_EQ(qwen.tool_format->name, "hermes");
  EXPECT_EQ(qwen.tool_prompt, ToolPrompt::templated);
  EXPECT_EQ(qwen.reasoning->name, "qwen3");
  EXPECT_THAT(qwen.reasoning_markers.ids, IsEmpty());  // no special tokens there: they show anyway
  EXPECT_FALSE(qwen.call_end_id.has_value());
  EXPECT_EQ(dialect_of(*golden_template("llama3_like.jinja")).tool_format->name, "llama3_json");
  EXPECT_EQ(dialect_of(*ChatTemplate::from_source("{% if tools %}[TOOL_CALLS]{{ tools }}{% endif %}", "", ""))
                .tool_format->name,
            "mistral");
  const Dialect plain = dialect_of(*golden_template("chatml.jinja"));
  EXPECT_EQ(plain.tool_format, nullptr);
  EXPECT_EQ(plain.tool_prompt, ToolPrompt::unknown);
  EXPECT_EQ(plain.reasoning, nullptr);
}

TEST(Dialect, calls_in_xml_are_not_taken_for_json) {
  const Dialect coder = dialect_of(
      *ChatTemplate::from_source("{{ tools }}<tool_call><function={{ messages[0].role }}>", "", ""));
  EXPECT_EQ(coder.tool_format, nullptr);
  EXPECT_EQ(coder.tool_prompt, ToolPrompt::templated);
}

TEST(Dialect, can_be_named) {
  const auto chatml = golden_template("chatml.jinja");
  const Dialect named = dialect_of(*chatml, {"qwen2d5", "deepseek_r1"});
  EXPECT_EQ(named.tool_format->name, "hermes");
  EXPECT_EQ(named.tool_prompt, ToolPrompt::system);
  EXPECT_EQ(named.reasoning->name, "deepseek-r1");
  const Dialect off = dialect_of(*golden_template("qwen3_like.jinja"), {"none", "none"});
  EXPECT_EQ(off.tool_format, nullptr);
  EXPECT_TRUE(off.calls_are_off);
  EXPECT_EQ(off.reasoning, nullptr);
  EXPECT_THROW(dialect_of(*chatml, {"nonsense", ""}), Error);
  try {
    dialect_of(*chatml, {"", "nonsense"});
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("qwen3, deepseek-r1"));
  }
}

// A template that knows only texts.
TEST(ToolPrompt, in_a_system_message) {
  const auto chatml = golden_template("chatml.jinja");
  const Dialect dialect = dialect_of(*chatml, {"hermes", ""});
  ChatInput input = session();
  input.messages.push_back({{"role", "environment"}, {"name", "plugin"}, {"content", "9"}});
  const std::string text = render_chat(*chatml, dialect, input).text;
  EXPECT_THAT(text, HasSubstr("<|im_start|>system\nS\n\nYou may call functions"));
  EXPECT_THAT(text, HasSubstr("<tools>\n{\"name\": \"add\", \"description\": \"Add\""));
  EXPECT_THAT(text, HasSubstr("<tool_call>\n{\"name\": \"NAME\", \"arguments\": {ARGUMENTS}}\n</tool_call>"));
  EXPECT_THAT(text, HasSubstr("assistant\n<tool_call>\n{\"name\": \"add\", \"arguments\": {\"a\": 3, "));
  EXPECT_THAT(
      text,
      HasSubstr("user\n<tool_response>\n8<|im_end|>\n</tool_response>\n<tool_response>\n9\n</tool_response>"
                "<|im_end|>"));
  input.messages.erase(0);
  EXPECT_THAT(render_chat(*chatml, dialect, input).text,
              HasSubstr("<|im_start|>system\nYou may call functions"));
}

TEST(ToolPrompt, of_a_template_that_reads_tools_is_its_own) {
  const auto qwen = golden_template("qwen3_like.jinja");
  ChatInput input = session();
  const std::string expected = qwen->render(input).text;
  const Dialect dialect = dialect_of(*qwen);
  EXPECT_EQ(render_chat(*qwen, dialect, input).text, expected);
  input.messages[3] = {{"role", "environment"}, {"name", "plugin"}, {"content", "8<|im_end|>"}};
  EXPECT_EQ(render_chat(*qwen, dialect, input).text, expected);
}

TEST(ToolPrompt, nothing_is_dropped_where_there_is_no_way_to_say_it) {
  const auto chatml = golden_template("chatml.jinja");
  const Dialect dialect = dialect_of(*chatml);
  EXPECT_THROW(render_chat(*chatml, dialect, session()), Error);
  ChatInput plain;
  plain.messages = Json::parse(R"([{"role": "user", "content": "x"}])");
  EXPECT_THAT(render_chat(*chatml, dialect, plain).text, EndsWith("assistant\n"));
  EXPECT_THAT(render_chat(*chatml, dialect, plain).text, Not(HasSubstr("functions")));
}

}  // namespace
}  // namespace lmdeploy::testing
