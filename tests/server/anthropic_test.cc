// Anthropic's /v1/messages: what it takes, says, streams and refuses.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "server/json.h"
#include "server/test_server.h"

namespace lmdeploy::testing {
namespace {

using namespace std::chrono_literals;

std::string body(int max_tokens, std::string_view more_fields = "") {
  return fmt::format(
      R"({{"model":"tiny","max_tokens":{},"messages":[{{"role":"user","content":"hello"}}]{}{}}})",
      max_tokens, more_fields.empty() ? "" : ",", more_fields);
}

// An answer that goes on for ever: of a model whose loop token is 'e'.
std::string endless_body(std::string_view more_fields = "") {
  return fmt::format(
      R"({{"model":"tiny","max_tokens":400,"messages":[{{"role":"user","content":"x"}},
         {{"role":"assistant","content":"e"}}]{}{}}})",
      more_fields.empty() ? "" : ",", more_fields);
}

TestSetup endless_setup() {
  TestSetup setup = slow_setup();
  setup.model.loop_token = 7;
  return setup;
}

class Anthropic : public ServerTest {
 protected:
  Json refused(std::string_view body, int status = 400) {
    const Json error = post("/v1/messages", body, status);
    EXPECT_EQ(error["type"], "error");
    return error["error"];
  }
  std::vector<Json> events(std::string_view body) {
    std::vector<Json> parsed;
    for (const std::string& event : server_.post("/v1/messages", body).events())
      parsed.push_back(parse_json(event));
    return parsed;
  }
  std::int64_t num_tokens(std::string_view body) {
    return post("/v1/messages/count_tokens", body)["input_tokens"];
  }
};

TEST_F(Anthropic, an_answer_is_the_chats) {
  const Json answer = post("/v1/messages", body(12));
  const Json chat = post("/v1/chat/completions", R"({"model":"tiny","max_tokens":12,
      "messages":[{"role":"user","content":"hello"}]})");
  EXPECT_TRUE(answer["id"].get<std::string>().starts_with("msg_"));
  EXPECT_EQ(answer["type"], "message");
  EXPECT_EQ(answer["role"], "assistant");
  EXPECT_EQ(answer["content"].dump(),
            (Json::array({{{"type", "text"}, {"text", chat["choices"][0]["message"]["content"]}}})).dump());
  EXPECT_EQ(answer["usage"]["input_tokens"], chat["usage"]["prompt_tokens"]);
  EXPECT_EQ(answer["usage"]["output_tokens"], chat["usage"]["completion_tokens"]);
}

TEST_F(Anthropic, a_stream_adds_up_to_the_whole_answer) {
  const Json whole = post("/v1/messages", body(40));
  const auto stream = events(body(40, R"("stream":true)"));
  std::string text, types;
  for (const Json& event : stream) {
    const std::string type = event["type"];
    if (type == "content_block_delta") text += event["delta"]["text"].get<std::string>();
    if (type != "content_block_delta" || !types.ends_with("content_block_delta ")) types += type + " ";
  }
  EXPECT_EQ(types,
            "message_start ping content_block_start content_block_delta content_block_stop "
            "message_delta message_stop ");
  EXPECT_EQ(text, whole["content"][0]["text"]);
  EXPECT_EQ(stream.front()["message"]["usage"]["input_tokens"], whole["usage"]["input_tokens"]);
  const Json& end = stream[stream.size() - 2];
  EXPECT_EQ(end["delta"]["stop_reason"], whole["stop_reason"]);
  EXPECT_EQ(end["usage"]["output_tokens"], whole["usage"]["output_tokens"]);
}

TEST(AnthropicStops, says_why) {
  TestSetup setup;
  setup.model.loop_token = 7;
  TestServer server(std::move(setup));
  const auto ask = [&](const std::string& fields) {
    return parse_json(server
                          .post("/v1/messages", R"({"model":"tiny","messages":[{"role":"user","content":"x"},
        {"role":"assistant","content":"e"}],)" + fields +
                                                    "}")
                          .body);
  };
  const Json stopped = ask(R"("max_tokens":60,"stop_sequences":["no such","eee"])");
  EXPECT_EQ(stopped["stop_reason"], "stop_sequence");
  EXPECT_EQ(stopped["stop_sequence"], "eee");
  EXPECT_EQ(stopped["content"].size(), 0U);  // all that was said is the stop sequence
  EXPECT_EQ(stopped["usage"]["output_tokens"], 3);
  const Json full = ask(R"("max_tokens":4)");
  EXPECT_EQ(full["content"][0]["text"], "eeee");
  EXPECT_EQ(full["stop_reason"], "max_tokens");
  EXPECT_EQ(full["stop_sequence"], nullptr);
  EXPECT_EQ(ask(R"("max_tokens":100000)")["stop_reason"], "model_context_window_exceeded");
}

TEST_F(Anthropic, what_the_cache_had_is_counted_apart) {
  const std::string question = std::string(100, 'a');
  const std::string ask = fmt::format(
      R"({{"model":"tiny","max_tokens":1,"messages":[{{"role":"user","content":"{}"}}]}})", question);
  const Json first = post("/v1/messages", ask), second = post("/v1/messages", ask);
  EXPECT_EQ(first["usage"]["cache_read_input_tokens"], 0);
  const std::int64_t num_cached = second["usage"]["cache_read_input_tokens"];
  EXPECT_GE(num_cached, 96);
  EXPECT_EQ(second["usage"]["input_tokens"].get<std::int64_t>() + num_cached, first["usage"]["input_tokens"]);
}

TEST_F(Anthropic, an_assistants_last_turn_is_the_beginning_of_the_answer) {
  const std::string begun = R"({"model":"tiny","messages":[{"role":"user","content":"hello"}%s]})";
  const auto with = [&](const std::string& more) {
    std::string text = begun;
    return text.replace(text.find("%s"), 2, more);
  };
  const auto asked = num_tokens(with(""));
  const auto continued = num_tokens(with(R"(,{"role":"assistant","content":"abc "})"));
  EXPECT_EQ(continued, asked + 4);  // a token for each character, and nothing that ends the turn
  // One whose answer does not end soon, and whose first half is whole characters.
  for (const char c : std::string("abcdefghijklmnopqrstuvwxyz")) {
    const std::string user = fmt::format(R"({{"role":"user","content":"{}"}})", c);
    const auto ask = [&](int max_tokens, const std::string& more) {
      return post("/v1/messages", fmt::format(R"({{"model":"tiny","max_tokens":{},"messages":[{}{}]}})",
                                              max_tokens, user, more));
    };
    const Json whole = ask(8, "");
    if (whole["stop_reason"] != "max_tokens") continue;
    const std::string half = ask(4, "")["content"][0]["text"];
    const Json rest = ask(4, fmt::format(R"(,{{"role":"assistant","content":{}}})", Json(half).dump()));
    EXPECT_EQ(half + rest["content"][0]["text"].get<std::string>(), whole["content"][0]["text"]);
    return;
  }
  FAIL() << "every answer ends soon";
}

TEST_F(Anthropic, system_and_blocks_are_the_chats_messages) {
  const auto blocks = num_tokens(R"({"model":"tiny","system":[{"type":"text","text":"be","cache_control":
      {"type":"ephemeral"}},{"type":"text","text":"kind"}],"messages":[
      {"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]},
      {"role":"assistant","content":[{"type":"thinking","thinking":"x","signature":""},{"type":"text","text":"c"}]},
      {"role":"user","content":"d"},{"role":"user","content":"e"}]})");
  const auto strings = num_tokens(R"({"model":"tiny","system":"be\nkind","messages":[
      {"role":"user","content":"a\nb"},{"role":"assistant","content":"c"},{"role":"user","content":"d\ne"}]})");
  EXPECT_EQ(blocks, strings);
  EXPECT_GT(strings, num_tokens(R"({"model":"tiny","messages":[{"role":"user","content":"a\nb"},
      {"role":"assistant","content":"c"},{"role":"user","content":"d\ne"}]})"));
}

TEST_F(Anthropic, refuses_in_its_own_shape) {
  EXPECT_EQ(refused("{}")["type"], "invalid_request_error");
  EXPECT_EQ(refused(body(0))["message"].get<std::string>().substr(0, 11), "max_tokens:");
  EXPECT_EQ(
      refused(R"({"model":"nobody","max_tokens":1,"messages":[{"role":"user","content":"x"}]})", 404)["type"],
      "not_found_error");
  for (const auto& [field, name] : std::vector<std::pair<std::string, std::string>>{
           {R"("container":"c")", "container"},
           {R"("thinking":{"type":"enabled","budget_tokens":1024})", "thinking.budget_tokens"},
           {R"("thinking":{"type":"maybe"})", "thinking.type"},
           {R"("output_config":{"effort":"low"})", "output_config.effort"},
           {R"("stop_sequences":"x")", "stop_sequences"},
           {R"("stop_sequences":[""])", "stop_sequences[0]"},
           {R"("nonsense":1)", "nonsense"},
           {R"("top_k":-1)", "top_k"}}) {
    const std::string message = refused(body(1, field))["message"];
    EXPECT_TRUE(message.starts_with(name)) << message;
  }
  for (const char* content : {"null", "7", "[7]", R"([{"type":"image"}])", R"([{"type":"text"}])", "[{}]"}) {
    const std::string message = refused(
        fmt::format(R"({{"model":"tiny","max_tokens":1,"messages":[{{"role":"user","content":{}}}]}})",
                    content))["message"];
    EXPECT_TRUE(message.starts_with("messages[0].content")) << message;
  }
}

TEST_F(Anthropic, its_shape_is_that_of_every_refusal_below_its_path) {
  const auto error_of = [&](const HttpReply& reply) { return parse_json(reply.body)["error"]["type"]; };
  EXPECT_EQ(error_of(server_.get("/v1/messages")), "invalid_request_error");  // 405
  EXPECT_EQ(error_of(server_.get("/v1/messages/batches")), "not_found_error");
  EXPECT_EQ(parse_json(server_.get("/v1/messagesX").body).contains("type"), false);
  const HttpReply version = server_.post("/v1/messages", body(1), "anthropic-version: 2019-01-01\r\n");
  EXPECT_EQ(version.status, 400);
  EXPECT_EQ(error_of(version), "invalid_request_error");
  EXPECT_EQ(server_.post("/v1/messages", body(1), "anthropic-version: 2023-06-01\r\n").status, 200);
  const HttpReply too_long = server_.post(
      "/v1/messages",
      fmt::format(R"({{"model":"tiny","max_tokens":1,"messages":[{{"role":"user","content":"{}"}}]}})",
                  std::string(600, 'a')));
  EXPECT_EQ(too_long.status, 400);
  EXPECT_EQ(error_of(too_long), "invalid_request_error");
}

TEST(AnthropicKeys, either_header_is_taken) {
  TestSetup setup;
  setup.server.api_keys = {"secret"};
  TestServer server(std::move(setup));
  const HttpReply none = server.post("/v1/messages", body(1));
  EXPECT_EQ(none.status, 401);
  EXPECT_EQ(parse_json(none.body)["error"]["type"], "authentication_error");
  EXPECT_EQ(server.post("/v1/messages", body(1), "x-api-key: secret\r\n").status, 200);
  EXPECT_EQ(server.post("/v1/messages", body(1), "Authorization: Bearer secret\r\n").status, 200);
}

TEST(AnthropicStream, a_failure_is_an_event_of_its_own) {
  TestSetup setup = endless_setup();
  setup.server.request_timeout = 50ms;
  TestServer server(std::move(setup));
  const auto events = server.post("/v1/messages", endless_body(R"("stream":true)")).events();
  const Json last = parse_json(events.back());
  EXPECT_EQ(last["type"], "error");
  EXPECT_EQ(last["error"]["type"], "timeout_error");
}

TEST(AnthropicStream, an_answer_that_is_aborted_is_paused) {
  TestServer server(endless_setup());
  RawClient client = server.connect();
  client.send(post_request("/v1/messages", endless_body(), "x-request-id: mine\r\n"));
  ASSERT_TRUE(server.has_begun_within(2s));
  server.post("/abort_request", R"({"request_id":"mine"})");
  EXPECT_EQ(parse_json(client.read_reply().body)["stop_reason"], "pause_turn");
}

// Of a model that says what it was told, with the tool calls and the reasoning of Qwen 3.
class AnthropicTools : public ::testing::Test {
 protected:
  static Json body(const std::string& said, const Json& more = Json::object()) {
    Json body{{"model", kModelName},
              {"max_tokens", 400},
              {"messages", {{{"role", "user"}, {"content", said}}}},
              {"tools",
               {{{"name", "add"},
                 {"description", "Adds."},
                 {"input_schema", {{"type", "object"}, {"properties", {{"a", {{"type", "int"}}}}}}}},
                {{"name", "mul"},
                 {"input_schema", {{"type", "object"}}},
                 {"cache_control", {{"type", "ephemeral"}}}}}}};
    body.update(more);
    return body;
  }
  Json ask(const Json& body, int status = 200) {
    const HttpReply reply = server_.post("/v1/messages", body.dump());
    EXPECT_EQ(reply.status, status) << reply.body;
    return parse_json(reply.body);
  }
  // The message that the events add up to, as Anthropic's client adds them.
  Json streamed(Json body) {
    body["stream"] = true;
    Json message;
    std::string input;
    for (const std::string& text : server_.post("/v1/messages", body.dump()).events()) {
      const Json event = parse_json(text);
      if (event["type"] == "message_start") message = event["message"];
      if (event["type"] == "content_block_start") {
        EXPECT_EQ(event["index"], message["content"].size());
        message["content"].push_back(event["content_block"]);
        input.clear();
      }
      if (event["type"] == "content_block_delta") {
        const Json& delta = event["delta"];
        Json& block = message["content"].at(event["index"].get<std::size_t>());
        for (const char* field : {"text", "thinking"})
          if (delta.contains(field))
            block[field] = block[field].get<std::string>() + delta[field].get<std::string>();
        if (delta.contains("partial_json")) input += delta["partial_json"].get<std::string>();
        if (!input.empty() && Json::accept(input)) block["input"] = Json::parse(input);
      }
      if (event["type"] == "message_delta") message.update(event["delta"]);
    }
    return message;
  }
  static void erase_ids(Json& message) {
    for (Json& block : message["content"]) block.erase("id");
  }

  TestServer server_{echo_setup(golden_template("qwen3_like.jinja"))};
};

constexpr const char* kAdd = "<tool_call>\n{\"name\": \"add\", \"arguments\": {\"a\": 3}}\n</tool_call>";

TEST_F(AnthropicTools, a_call_is_a_block_whole_and_streamed) {
  const std::string said = std::string("<think>well</think>I add. ") + kAdd + kAdd;
  Json whole = ask(body(said)), stream = streamed(body(said));
  EXPECT_EQ(whole["stop_reason"], "tool_use");
  ASSERT_EQ(whole["content"].size(), 4U) << whole.dump();
  EXPECT_EQ(whole["content"][0]["type"], "thinking");
  EXPECT_EQ(whole["content"][0]["thinking"], "well");
  EXPECT_EQ(whole["content"][1]["text"], "I add.");
  EXPECT_EQ(whole["content"][2]["type"], "tool_use");
  EXPECT_EQ(whole["content"][2]["name"], "add");
  EXPECT_EQ(whole["content"][2]["input"].dump(), R"({"a":3})");
  EXPECT_NE(whole["content"][2]["id"], whole["content"][3]["id"]);
  EXPECT_GT(whole["usage"]["output_tokens_details"]["thinking_tokens"], 0);
  erase_ids(whole);
  erase_ids(stream);
  EXPECT_EQ(stream["content"], whole["content"]);
  EXPECT_EQ(stream["stop_reason"], "tool_use");
}

TEST_F(AnthropicTools, one_call_where_they_are_not_parallel) {
  const Json choice{{"tool_choice", {{"type", "auto"}, {"disable_parallel_tool_use", true}}}};
  EXPECT_EQ(ask(body(std::string(kAdd) + kAdd, choice))["content"].size(), 1U);
  EXPECT_EQ(ask(body(kAdd, {{"tool_choice", {{"type", "none"}}}}))["stop_reason"], "end_turn");
}

TEST_F(AnthropicTools, calls_and_results_are_the_chats) {
  const Json turns = Json::parse(R"([
      {"role": "user", "content": "2 and 3?"},
      {"role": "assistant", "content": [{"type": "text", "text": "I add."},
          {"type": "tool_use", "id": "call_1", "name": "add", "input": {"a": 2}}]},
      {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "call_1", "content": "5"},
          {"type": "tool_result", "tool_use_id": "call_2", "is_error": true,
           "content": [{"type": "text", "text": "none"}]},
          {"type": "text", "text": "go on"}]}])");
  const Json chat = Json::parse(R"([
      {"role": "user", "content": "2 and 3?"},
      {"role": "assistant", "content": "I add.", "tool_calls": [{"id": "call_1", "type": "function",
          "function": {"name": "add", "arguments": "{\"a\": 2}"}}]},
      {"role": "tool", "tool_call_id": "call_1", "content": "5"},
      {"role": "tool", "tool_call_id": "call_2", "content": "Error: none"},
      {"role": "user", "content": "go on"}])");
  const Json answer = ask(body("", {{"messages", turns}, {"tools", Json::array()}, {"max_tokens", 1}}));
  const Json asked{{"model", kModelName}, {"messages", chat}, {"max_tokens", 1}};
  const Json expected = parse_json(server_.post("/v1/chat/completions", asked.dump()).body);
  EXPECT_EQ(answer["usage"]["input_tokens"], expected["usage"]["prompt_tokens"]);
}

TEST_F(AnthropicTools, refuses_by_name) {
  const auto param_of = [&](const Json& more) {
    return ask(body("x", more), 400)["error"]["message"].get<std::string>();
  };
  for (
      const auto& [more, begin] : std::vector<std::pair<const char*, const char*>>{
          {R"({"tools": [{"type": "web_search_20250305", "name": "web_search"}]})", "tools[0].type"},
          {R"({"tools": [{"name": "add"}]})", "tools[0].input_schema"},
          {R"({"tools": [{"name": "a b", "input_schema": {}}]})", "tools[0].name"},
          {R"({"tools": [{"name": "a", "input_schema": {}, "odd": 1}]})", "tools[0].odd"},
          {R"({"tool_choice": {"type": "tool", "name": "div"}})", "tool_choice"},
          {R"({"tool_choice": {"type": "some"}})", "tool_choice.type"},
          {R"({"tools": [], "tool_choice": {"type": "any"}})", "tool_choice"},
          {R"({"messages": [{"role": "user", "content": [{"type": "tool_use", "id": "i", "name": "n", "input": {}}]}]})",
           "messages[0].content[0].type"},
          {R"({"messages": [{"role": "user", "content": [{"type": "tool_result"}]}]})",
           "messages[0].content[0].tool_use_id"}})
    EXPECT_TRUE(param_of(Json::parse(more)).starts_with(begin)) << param_of(Json::parse(more));
}

}  // namespace
}  // namespace lmdeploy::testing
