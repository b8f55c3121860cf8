// Chats whose answers call tools or think first: what comes of a text that a model says, byte by byte, whole
// and streamed.
#include <gtest/gtest.h>

#include <set>

#include "server/test_server.h"
#include "text/tool_outputs.h"

namespace lmdeploy::testing {
namespace {

const Json kTools = Json::parse(R"([
    {"type": "function", "function": {"name": "add", "parameters": {"type": "object", "properties": {
        "a": {"type": "int"}, "b": {"type": "int"}}, "required": ["a", "b"]}}},
    {"type": "function", "function": {"name": "mul"}}])");

Json chat(const std::string& said, Json more = Json::object()) {
  Json body{{"model", kModelName}, {"messages", {{{"role", "user"}, {"content", said}}}}, {"tools", kTools}};
  body.update(more);
  return body;
}

Json ask(const TestServer& server, const Json& body, int status = 200) {
  const HttpReply reply = server.post("/v1/chat/completions", body.dump());
  EXPECT_EQ(reply.status, status) << reply.body;
  return parse_json(reply.body);
}

// The message that the deltas of a stream add up to, and its finish_reason.
struct Streamed {
  Json message{{"role", "assistant"}, {"content", nullptr}};
  std::string finish_reason;
};

void append(Json& message, const char* field, const Json& delta) {
  if (!delta.contains(field) || delta[field].is_null()) return;
  const std::string so_far = message.contains(field) && !message[field].is_null() ? message[field] : "";
  message[field] = so_far + delta[field].get<std::string>();
}

void append_calls(Json& message, const Json& delta) {
  for (const Json& call : delta.value("tool_calls", Json::array())) {
    Json& calls = message["tool_calls"];
    const bool begins = call["index"] == calls.size();
    EXPECT_EQ(call.contains("id"), begins);
    EXPECT_EQ(call["function"].contains("name"), begins);
    if (begins)
      calls.push_back({{"id", call["id"]}, {"type", call["type"]}, {"function", call["function"]}});
    else
      append(calls[call["index"].get<std::size_t>()]["function"], "arguments", call["function"]);
  }
}

Streamed stream(const TestServer& server, Json body) {
  body["stream"] = true;
  const HttpReply reply = server.post("/v1/chat/completions", body.dump());
  EXPECT_EQ(reply.status, 200) << reply.body;
  Streamed sum;
  for (const std::string& event : reply.events()) {
    if (event == "[DONE]") continue;
    const Json choice = parse_json(event)["choices"][0];
    append(sum.message, "content", choice["delta"]);
    append(sum.message, "reasoning_content", choice["delta"]);
    append_calls(sum.message, choice["delta"]);
    if (!choice["finish_reason"].is_null()) sum.finish_reason = choice["finish_reason"];
  }
  return sum;
}

Json without_ids(Json message) {
  if (message["content"] == "") message["content"] = nullptr;  // the first delta of a stream says ""
  for (Json& call : message.contains("tool_calls") ? message["tool_calls"] : message["none"])
    call.erase("id");
  message.erase("none");
  return message;
}

const TestServer& hermes_server() {
  static const TestServer server(echo_setup(golden_template("qwen3_like.jinja")));
  return server;
}

constexpr const char* kAdd =
    "<tool_call>\n{\"name\": \"add\", \"arguments\": {\"a\": 3, \"b\": 5}}\n</tool_call>";

TEST(AnswerTools, a_call) {
  const Json answer = ask(hermes_server(), chat(kAdd));
  const Json& choice = answer["choices"][0];
  EXPECT_EQ(choice["finish_reason"], "tool_calls");
  EXPECT_TRUE(choice["message"]["content"].is_null());
  const Json& call = choice["message"]["tool_calls"][0];
  EXPECT_EQ(call["type"], "function");
  EXPECT_TRUE(call["id"].get<std::string>().starts_with("call_"));
  EXPECT_EQ(call["function"]["name"], "add");
  EXPECT_EQ(call["function"]["arguments"], R"({"a": 3, "b": 5})");
}

TEST(AnswerTools, text_and_two_calls) {
  const Json choice = ask(hermes_server(), chat(std::string("I add.\n") + kAdd + "\n" + kAdd))["choices"][0];
  EXPECT_EQ(choice["message"]["content"], "I add.");
  ASSERT_EQ(choice["message"]["tool_calls"].size(), 2U);
  EXPECT_NE(choice["message"]["tool_calls"][0]["id"], choice["message"]["tool_calls"][1]["id"]);
}

TEST(AnswerTools, one_call_where_they_are_not_parallel) {
  const Json body = chat(std::string(kAdd) + "\n" + kAdd, {{"parallel_tool_calls", false}});
  const Json choice = ask(hermes_server(), body)["choices"][0];
  EXPECT_EQ(choice["message"]["tool_calls"].size(), 1U);
  EXPECT_EQ(choice["finish_reason"], "tool_calls");
  EXPECT_EQ(stream(hermes_server(), body).finish_reason, "tool_calls");
  EXPECT_TRUE(hermes_server().is_idle_within(std::chrono::seconds(1)));
}

TEST(AnswerTools, without_tools_or_with_choice_none_text_stays_text) {
  for (const Json& more : {Json{{"tools", nullptr}}, Json{{"tool_choice", "none"}}}) {
    const Json choice = ask(hermes_server(), chat(kAdd, more))["choices"][0];
    EXPECT_EQ(choice["message"]["content"], kAdd);
    EXPECT_EQ(choice["finish_reason"], "stop");
  }
}

TEST(AnswerTools, a_cut_call_says_length) {
  const Json choice = ask(hermes_server(), chat(kAdd, {{"max_tokens", 40}}))["choices"][0];
  EXPECT_EQ(choice["finish_reason"], "length");
  EXPECT_EQ(choice["message"]["tool_calls"][0]["function"]["name"], "add");
}

TEST(AnswerTools, a_stream_says_the_name_first) {
  Json body = chat(kAdd);
  body["stream"] = true;
  std::vector<Json> deltas;
  for (const std::string& event : hermes_server().post("/v1/chat/completions", body.dump()).events())
    if (event != "[DONE]") deltas.push_back(parse_json(event)["choices"][0]["delta"]);
  std::erase_if(deltas, [](const Json& delta) { return !delta.contains("tool_calls"); });
  EXPECT_EQ(deltas.at(0)["tool_calls"][0]["function"]["name"], "add");
  EXPECT_EQ(deltas.at(0)["tool_calls"][0]["index"], 0);
  EXPECT_EQ(deltas.size(), std::string(R"({"a": 3, "b": 5})").size());  // a token has a byte
}

TEST(AnswerTools, reasoning_before_a_call) {
  const std::string said = std::string("<think>\nI should add.\n</think>\n\n") + kAdd;
  const Json answer = ask(hermes_server(), chat(said));
  const Json& message = answer["choices"][0]["message"];
  EXPECT_EQ(message["reasoning_content"], "I should add.");
  EXPECT_TRUE(message["content"].is_null());
  EXPECT_EQ(message["tool_calls"][0]["function"]["name"], "add");
  // <think>, a byte in each token, </think>
  EXPECT_EQ(answer["usage"]["completion_tokens_details"]["reasoning_tokens"], 1 + 15 + 1);
  EXPECT_EQ(without_ids(stream(hermes_server(), chat(said)).message), without_ids(message));
}

TEST(AnswerTools, reasoning_that_the_template_opens_or_closes) {
  const TestServer server(
      echo_setup("{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor "
                 "%}<|im_start|>assistant\n"
                 "<think>{% if enable_thinking is defined and not enable_thinking %}</think>{% endif %}"));
  const Json think{{"tools", nullptr}};
  Json message = ask(server, chat("<think>why</think>so", think))["choices"][0]["message"];
  EXPECT_EQ(message["reasoning_content"], "why");
  EXPECT_EQ(message["content"], "so");
  for (const Json& off :
       {Json{{"enable_thinking", false}}, Json{{"chat_template_kwargs", {{"enable_thinking", false}}}}}) {
    Json body = chat("<think></think>so", think);
    body.update(off);
    message = ask(server, body)["choices"][0]["message"];
    EXPECT_FALSE(message.contains("reasoning_content"));
    EXPECT_EQ(message["content"], "so");
  }
}

TEST(AnswerTools, plugin_turns_end_with_their_marker) {
  const TestServer server(echo_setup(golden_template("chatml.jinja")));
  const std::string call =
      "<|action_start|><|plugin|>\n{\"name\": \"add\", \"parameters\": {\"a\": 1, \"b\": 2}}<|action_end|>";
  const Json choice = ask(server, chat(call + "never said"))["choices"][0];
  EXPECT_EQ(choice["message"]["tool_calls"][0]["function"]["arguments"], R"({"a": 1, "b": 2})");
  EXPECT_TRUE(choice["message"]["content"].is_null());
  EXPECT_EQ(choice["finish_reason"], "tool_calls");
}

TEST(AnswerTools, mistrals_ids_are_nine_letters) {
  const TestServer server(echo_setup(golden_template("chatml.jinja"), {"mistral", ""}));
  const Json message =
      ask(server, chat("[TOOL_CALLS]add[ARGS]{\"a\": 1, \"b\": 2}"))["choices"][0]["message"];
  EXPECT_EQ(message["tool_calls"][0]["id"].get<std::string>().size(), 9U);
}

TEST(AnswerTools, are_refused_where_the_template_has_no_way_to_say_them) {
  const TestServer server(TestSetup{});
  const Json error = ask(server, chat("hi"), 400)["error"];
  EXPECT_EQ(error["param"], "tools");
  EXPECT_NE(error["message"].get<std::string>().find("--tool-call-parser"), std::string::npos);
  ask(server, chat("hi", {{"tool_choice", "none"}, {"max_tokens", 1}}));
}

TEST(AnswerTools, can_be_turned_off) {
  const TestServer server(echo_setup(golden_template("qwen3_like.jinja"), {"none", "none"}));
  EXPECT_EQ(ask(server, chat(kAdd))["choices"][0]["message"]["content"], kAdd);
  EXPECT_EQ(ask(server, chat(kAdd, {{"tool_choice", "required"}}), 400)["error"]["param"], "tool_choice");
}

// A model that would not is kept to the schema.
TEST(AnswerTools, arguments_fit_whatever_the_model_wants_to_say) {
  const std::string wrong =
      "<tool_call>\n{\"name\": \"add\", \"arguments\": {\"x\": \"three\", \"b\": 5}}\n</tool_call>";
  const Json named{{"type", "function"}, {"function", {{"name", "add"}}}};
  for (const Json& choice : {named, Json("required")}) {
    const Json body =
        chat(wrong, {{"tool_choice", choice}, {"parallel_tool_calls", false}, {"max_tokens", 2000}});
    const Json answer = ask(hermes_server(), body)["choices"][0];
    EXPECT_EQ(answer["finish_reason"], "tool_calls");
    const Json& function = answer["message"]["tool_calls"][0]["function"];
    if (function["name"] == "mul") continue;
    const Json arguments = Json::parse(function["arguments"].get<std::string>());
    EXPECT_TRUE(arguments["a"].is_number_integer() && arguments["b"].is_number_integer()) << arguments;
  }
}

TEST(AnswerTools, forms_that_contradict_calls_are_refused) {
  const Json object{{"type", "json_object"}};
  EXPECT_EQ(ask(hermes_server(), chat("x", {{"response_format", object}}), 400)["error"]["param"],
            "response_format");
  EXPECT_EQ(ask(hermes_server(), chat("x", {{"ignore_eos", true}}), 400)["error"]["param"], "ignore_eos");
  ask(hermes_server(), chat("{}", {{"response_format", object}, {"tool_choice", "none"}}));
}

TEST(AnswerTools, a_schema_that_cannot_be_kept_is_refused_by_name) {
  Json tools = kTools;
  tools[0]["function"]["parameters"]["properties"]["a"] = {{"type", "array"}, {"uniqueItems", true}};
  const Json error = ask(hermes_server(), chat("x", {{"tools", tools}}), 400)["error"];
  EXPECT_EQ(error["param"], "tools");
  EXPECT_NE(error["message"].get<std::string>().find("uniqueItems"), std::string::npos) << error;
}

// A form begins behind the reasoning.
TEST(AnswerTools, a_form_lets_a_model_think_first) {
  const Json more{{"tools", nullptr}, {"response_format", {{"type", "json_object"}}}};
  const Json message =
      ask(hermes_server(), chat("<think>why {</think>{\"a\": 1}", more))["choices"][0]["message"];
  EXPECT_EQ(message["reasoning_content"], "why {");
  EXPECT_EQ(message["content"], "{\"a\": 1}");
}

// What a model says in tokens of one byte, as far as the form of calls lets it and max_tokens goes.
TEST(AnswerTools, a_stream_adds_up_to_the_whole_answer) {
  std::set<std::string> reasons;
  for (const ToolFormat& format : tool_formats()) {
    const TestServer server(echo_setup(golden_template("chatml.jinja"), {std::string(format.name), ""}));
    int idx = 0;
    for (const ToolOutput& output : tool_outputs()) {
      if (output.format != format.name || idx++ % 3 != 0) continue;
      const Json body = chat(output.text, {{"max_tokens", output.text.size()}});
      const Json choice = ask(server, body)["choices"][0];
      const Streamed sum = stream(server, body);
      EXPECT_EQ(without_ids(sum.message), without_ids(choice["message"])) << output.text;
      EXPECT_EQ(sum.finish_reason, choice["finish_reason"]) << output.text;
      reasons.insert(sum.finish_reason);
    }
  }
  EXPECT_TRUE(reasons.contains("tool_calls") && reasons.contains("length")) << reasons.size();
}

}  // namespace
}  // namespace lmdeploy::testing
