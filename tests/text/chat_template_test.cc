#include "text/chat_template.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "golden.h"
#include "support/temp_folder.h"

namespace lmdeploy {
namespace {

using ::lmdeploy::testing::golden;
using ::lmdeploy::testing::read;
using ::lmdeploy::testing::read_json;
using ::lmdeploy::testing::TempFolder;
using ::testing::HasSubstr;

std::string render(const std::string& source, ChatInput input = {}) {
  return ChatTemplate::from_source(source, "<s>", "</s>")->render(input).text;
}

std::string problem(const std::string& source) {
  try {
    return "no error, but: " + render(source);
  } catch (const Error& error) {
    return error.what();
  }
}

TEST(ChatTemplate, RendersAsTransformersDoes) {
  for (const auto& expected : read_json(golden("templates/expected.json"))) {
    const std::string name = expected["template"].get<std::string>();
    const ChatInput input{expected["messages"], expected["tools"], expected["kwargs"],
                          expected["add_generation_prompt"].get<bool>()};
    const std::string source = read(golden("templates") / name);
    const std::string label = name + ", " + expected["conversation"].get<std::string>();
    if (expected["rendered"].is_null()) {
      EXPECT_THROW(render(source, input), Error) << label;
    } else {
      EXPECT_EQ(render(source, input), expected["rendered"].get<std::string>()) << label;
    }
  }
}

TEST(ChatTemplate, ErrorsAreTheTemplatesOwnWords) {
  for (const auto& expected : read_json(golden("templates/expected.json"))) {
    if (!expected.contains("raised")) continue;
    const auto chat_template = ChatTemplate::from_source(
        read(golden("templates") / expected["template"].get<std::string>()), "<s>", "</s>");
    try {
      chat_template->render({expected["messages"], expected["tools"], expected["kwargs"], true});
    } catch (const Error& error) {
      EXPECT_EQ(error.problem(), expected["raised"].get<std::string>());
    }
  }
}

TEST(ChatTemplate, EndsWithTheLastMessageWhereItIsContinued) {
  const std::string source = "{% for m in messages %}<{{ m.role }}>{{ m.content|trim }}</s>\n{% endfor %}";
  ChatInput input;
  input.messages = {{{"role", "user"}, {"content", "Paris"}},
                    {{"role", "assistant"}, {"content", " Paris is "}}};
  input.add_generation_prompt = false;
  EXPECT_EQ(render(source, input), "<user>Paris</s>\n<assistant>Paris is</s>\n");
  input.continue_final_message = true;
  EXPECT_EQ(render(source, input), "<user>Paris</s>\n<assistant>Paris is");
  input.messages.back()["content"] = "Paris is </s>";  // which stays text
  const auto prompt = ChatTemplate::from_source(source, "<s>", "</s>")->render(input);
  EXPECT_EQ(prompt.text, "<user>Paris</s>\n<assistant>Paris is </s>");
  ASSERT_FALSE(prompt.plain.empty());
  EXPECT_EQ(prompt.plain.back().end, prompt.text.size());
  EXPECT_THROW(render("{% for m in messages %}{{ m.content|upper }}{% endfor %}", input), Error);
}

TEST(ChatTemplate, PrintsAsPythonDoes) {
  EXPECT_EQ(render("{{ [1, 2.0, 'a', none, true, {'k': \"it's\"}, (1,)] }}"),
            "[1, 2.0, 'a', None, True, {'k': \"it's\"}, (1,)]");
  EXPECT_EQ(
      render("{{ 1e20 }} {{ 1e-7 }} {{ 0.1 + 0.2 }} {{ 7 // -2 }} {{ -7 % 3 }} {{ 10 / 4 }} {{ 1e16 }}"),
      "1e+20 1e-07 0.30000000000000004 -4 2 2.5 1e+16");
  EXPECT_EQ(render("{{ 'a' ~ none ~ true ~ 1 }}{{ undefined_name }}"), "aNoneTrue1");
  EXPECT_EQ(render("{{ 'x\\n\\'\\u200b'|list }}"), "['x', '\\n', \"'\", '\\u200b']");
}

TEST(ChatTemplate, WritesJsonAsPythonDoes) {
  EXPECT_EQ(render("{{ {'b': [1, 2.0, none, true], 'a': 'é<>&\\'\"\\n\\x7f'}|tojson }}"),
            "{\"b\": [1, 2.0, null, true], \"a\": \"é<>&'\\\"\\n\x7f\"}");
  EXPECT_EQ(render("{{ {'a': [1, {}], 'b': []}|tojson(indent=2) }}"),
            "{\n  \"a\": [\n    1,\n    {}\n  ],\n  \"b\": []\n}");
  EXPECT_EQ(
      render("{{ {'b': 1, 'a': '😀'}|tojson(separators=(',', ':'), sort_keys=true, ensure_ascii=true) }}"),
      "{\"a\":\"\\ud83d\\ude00\",\"b\":1}");
  EXPECT_THAT(problem("{{ nothing|tojson }}"), HasSubstr("not JSON serializable"));
}

TEST(ChatTemplate, TrimsBlocksAndKeepsLineEndsSimple) {
  EXPECT_EQ(render("a\r\n  {% if true %}\r\n  b\r\n  {% endif %}\r\nc\r\n"), "a\n  b\nc");
  EXPECT_EQ(render("{% generation %}{% set x = 1 %}g{% endgeneration %}{{ x is defined }}"), "gFalse");
  EXPECT_EQ(render("{% raw %}{% generation %}{% for x in none %}{% endraw %}"),
            "{% generation %}{% for x in none %}");
}

TEST(ChatTemplate, LoopsAsPythonDoes) {
  EXPECT_EQ(
      render("{% for x in [3, 1, 2] if x > 1 %}{% if x == 2 %}{% break %}{% endif %}{{ x }}{% endfor %}"),
      "3");
  EXPECT_EQ(render("{% for c in 'if in'[::-1] %}{{ c }}.{% endfor %}"), "n.i. .f.i.");
  EXPECT_THAT(problem("{% for x in none %}{% endfor %}"), HasSubstr("None is not iterable"));
}

TEST(ChatTemplate, SyntaxErrorsAreFoundAtLoad) {
  EXPECT_THAT(problem("{% if %}"), HasSubstr("line 1"));
  EXPECT_THROW(ChatTemplate::from_source("{{ 1", "", ""), Error);
  EXPECT_THROW(ChatTemplate::from_source("{% magic %}", "", ""), Error);
}

TEST(ChatTemplate, EndlessWorkIsCutOff) {
  for (const char* source : {
           "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}",
           "{% for a in range(9999999999999) %}{% endfor %}",
           "{{ 'x' * 99999999999 }}",
           "{{ [1] * 99999999999 }}",
           "{% set ns = namespace(s='x') %}{% for i in range(60) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}",
           "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
           "{% for i in range(100) %}{{ 'x' * 1000000 }}{% endfor %}",
           "{{ '%99999999999d'|format(1) }}",
           "{{ 'x'.ljust(99999999999)|length }}{{ 1/0 }}",
           "{% for a in [[[]]] recursive %}{{ loop([[[]]]) }}{% endfor %}",
           "{% set ns = namespace(l=[]) %}{% for i in range(300) %}{% set ns.l = [ns.l] %}{% endfor %}{{ "
           "ns.l|tojson }}"
           "{{ 1/0 }}",
       }) {
    EXPECT_THROW(render(source), Error) << source;
  }
}

TEST(ChatTemplate, HasNoWayOutOfTheTemplate) {
  EXPECT_EQ(render("{{ ''.__class__ }}{{ messages.__class__ }}"), "");
  EXPECT_THROW(render("{{ ''.__class__.__mro__ }}"), Error);
  EXPECT_THROW(render("{% include 'tokenizer.json' %}"), Error);
  EXPECT_THROW(render("{{ nothing() }}"), Error);
  EXPECT_THROW(render("{{ [].append(1) }}"), Error);
}

TEST(ChatTemplate, IsFoundInTheFolder) {
  const TempFolder folder;
  folder.write("tokenizer.json", read(golden("text/byte_level/tokenizer.json")));
  const auto tokenizer = Tokenizer::load(folder.path());
  const auto rendered = [&](const ChatInput& input = {}) {
    return ChatTemplate::load(folder.path(), *tokenizer)->render(input).text;
  };
  EXPECT_EQ(ChatTemplate::load(folder.path(), *tokenizer), nullptr);
  folder.write("chat_template.json", R"({"chat_template": "json"})");
  EXPECT_EQ(rendered(), "json");
  folder.write("tokenizer_config.json",
               R"({"bos_token": {"content": "<B>"}, "chat_template": "config {{ bos_token }}"})");
  EXPECT_EQ(rendered(), "config <B>");
  folder.write("tokenizer_config.json", R"({"chat_template": [{"name": "default", "template": "default"},
                                                              {"name": "tool_use", "template": "tools"}]})");
  EXPECT_EQ(rendered(), "default");
  ChatInput with_tools;
  with_tools.tools = nlohmann::ordered_json::array();
  EXPECT_EQ(rendered(with_tools), "tools");
  folder.write("chat_template.jinja", "jinja");
  EXPECT_EQ(rendered(with_tools), "jinja");
  folder.write("chat_template.jinja", "{% if %}");
  EXPECT_THROW(rendered(), Error);
}

TEST(ChatTemplate, KwargsReachTheTemplateButNotTheTokenizersOwnNames) {
  ChatInput input;
  input.template_kwargs = {{"enable_thinking", false}, {"bos_token", "mine"}};
  EXPECT_EQ(render("{{ enable_thinking }} {{ bos_token }}", input), "False <s>");
}

}  // namespace
}  // namespace lmdeploy
