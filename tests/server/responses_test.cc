// OpenAI's /v1/responses: what it takes, says, streams, keeps and refuses.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "server/json.h"
#include "server/test_server.h"

namespace lmdeploy::testing {
namespace {

using namespace std::chrono_literals;

std::string body(int max_tokens, std::string_view more_fields = "") {
  return fmt::format(R"({{"model":"tiny","input":"hello","ignore_eos":true,"max_output_tokens":{}{}{}}})",
                     max_tokens, more_fields.empty() ? "" : ",", more_fields);
}

HttpReply ask(const TestServer& server, std::string_view method, std::string_view path,
              std::string_view more_headers = "") {
  RawClient client = server.connect();
  client.send(
      fmt::format("{} {} HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n{}\r\n", method, path, more_headers));
  return client.read_reply();
}

std::string text_of(const Json& response) {
  return response["output"][0]["content"][0]["text"];
}

class Responses : public ServerTest {
 protected:
  std::vector<Json> events(std::string_view body) {
    std::vector<Json> parsed;
    for (const std::string& event : server_.post("/v1/responses", body).events())
      parsed.push_back(parse_json(event));
    return parsed;
  }
  Json get(const Json& id, int status = 200) {
    const HttpReply reply = server_.get("/v1/responses/" + id.get<std::string>());
    EXPECT_EQ(reply.status, status) << reply.body;
    return parse_json(reply.body);
  }
};

TEST_F(Responses, an_answer_is_the_chats) {
  const Json response = post("/v1/responses", body(12, R"("metadata":{"a":"b"},"user":"me")"));
  const Json chat = post("/v1/chat/completions", chat_body(12));
  EXPECT_EQ(response["object"], "response");
  EXPECT_EQ(response["status"], "incomplete");
  EXPECT_EQ(response["incomplete_details"]["reason"], "max_output_tokens");
  EXPECT_EQ(text_of(response), chat["choices"][0]["message"]["content"]);
  EXPECT_EQ(response["usage"]["input_tokens"], chat["usage"]["prompt_tokens"]);
  EXPECT_EQ(response["usage"]["output_tokens"], 12);
  EXPECT_EQ(response["metadata"].dump(), R"({"a":"b"})");
  EXPECT_EQ(response["user"], "me");
  EXPECT_EQ(response["max_output_tokens"], 12);
  EXPECT_EQ(response["temperature"], 0);  // the model's default
}

TEST_F(Responses, one_that_ends_by_itself_is_completed) {
  const Json response =
      post("/v1/responses", R"({"model":"tiny","input":"hello","stop":["a","e","i","o","u"]})");
  EXPECT_EQ(response["status"], "completed");
  EXPECT_EQ(response["output"][0]["status"], "completed");
  EXPECT_EQ(response["incomplete_details"], nullptr);
}

TEST_F(Responses, a_stream_has_its_events_in_order_and_adds_up) {
  const Json whole = post("/v1/responses", body(20));
  const auto stream = events(body(20, R"("stream":true)"));
  std::string text, types;
  for (std::size_t i = 0; i < stream.size(); ++i) {
    EXPECT_EQ(stream[i]["sequence_number"], i);
    const std::string type = stream[i]["type"];
    if (type == "response.output_text.delta") text += stream[i]["delta"].get<std::string>();
    if (type != "response.output_text.delta" || !types.ends_with("output_text.delta ")) types += type + " ";
  }
  EXPECT_EQ(types,
            "response.created response.in_progress response.output_item.added response.content_part.added "
            "response.output_text.delta response.output_text.done response.content_part.done "
            "response.output_item.done response.incomplete ");
  EXPECT_EQ(text, text_of(whole));
  EXPECT_EQ(text_of(stream.back()["response"]), text);
  EXPECT_EQ(stream[stream.size() - 4]["text"], text);
  EXPECT_EQ(stream.front()["response"]["status"], "in_progress");
  EXPECT_EQ(get(stream.back()["response"]["id"]), stream.back()["response"]);
}

TEST_F(Responses, log_probabilities_are_the_chats) {
  const Json response =
      post("/v1/responses", body(6, R"("top_logprobs":2,"include":["message.output_text.logprobs"])"));
  const Json chat = post("/v1/chat/completions", chat_body(6, R"("logprobs":true,"top_logprobs":2)"));
  EXPECT_EQ(response["output"][0]["content"][0]["logprobs"], chat["choices"][0]["logprobs"]["content"]);
  Json streamed = Json::array();
  for (const Json& event : events(body(6, R"("top_logprobs":2,"stream":true)")))
    if (event["type"] == "response.output_text.delta")
      for (const Json& logprob : event["logprobs"]) streamed.push_back(logprob);
  EXPECT_EQ(streamed, chat["choices"][0]["logprobs"]["content"]);
}

TEST_F(Responses, goes_on_behind_another) {
  const Json first = post("/v1/responses", body(5, R"("instructions":"be kind")"));
  const Json second =
      post("/v1/responses", body(5, fmt::format(R"("previous_response_id":{})", first["id"].dump())));
  EXPECT_EQ(second["previous_response_id"], first["id"]);
  Json messages = Json::array({{{"role", "user"}, {"content", "hello"}},
                               {{"role", "assistant"}, {"content", text_of(first)}},
                               {{"role", "user"}, {"content", "hello"}}});
  const Json body{{"model", "tiny"}, {"max_tokens", 5}, {"ignore_eos", true}, {"messages", messages}};
  const Json chat = post("/v1/chat/completions", body.dump());
  EXPECT_EQ(text_of(second), chat["choices"][0]["message"]["content"]);
  EXPECT_EQ(second["usage"]["input_tokens"], chat["usage"]["prompt_tokens"]);
  // The same as items.
  const Json items{{"model", "tiny"},
                   {"max_output_tokens", 5},
                   {"ignore_eos", true},
                   {"input", Json::array({messages[0], first["output"][0], messages[2]})}};
  EXPECT_EQ(text_of(post("/v1/responses", items.dump())), text_of(second));
}

TEST_F(Responses, is_kept_until_it_is_deleted) {
  const Json response = post("/v1/responses", body(3));
  EXPECT_EQ(get(response["id"]), response);
  const std::string path = "/v1/responses/" + response["id"].get<std::string>();
  EXPECT_EQ(parse_json(ask(server_, "DELETE", path).body)["deleted"], true);
  EXPECT_EQ(ask(server_, "DELETE", path).status, 404);
  EXPECT_EQ(get(response["id"], 404)["error"]["code"], "response_not_found");
  post("/v1/responses", body(3, fmt::format(R"("previous_response_id":{})", response["id"].dump())), 404);
  get(post("/v1/responses", body(3, R"("store":false)"))["id"], 404);
  EXPECT_EQ(server_.get(path + "?stream=true").status, 400);
}

TEST_F(Responses, refuses_by_name) {
  for (const auto& [field, param] : std::vector<std::pair<std::string, std::string>>{
           {R"("background":true)", "background"},
           {R"("truncation":"auto")", "truncation"},
           {R"("reasoning":{"effort":"low"})", "reasoning.effort"},
           {R"("text":{"verbosity":"high"})", "text.verbosity"},
           {R"("include":["file_search_call.results"])", "include"},
           {R"("stream_options":{})", "stream_options"},
           {R"("max_tokens":3)", "max_tokens"},
           {R"("metadata":"x")", "metadata"},
           {R"("conversation":"c")", "conversation"}}) {
    EXPECT_EQ(post("/v1/responses", body(1, field), 400)["error"]["param"], param);
  }
  for (const auto& [input, param] : std::vector<std::pair<std::string, std::string>>{
           {"null", "input"},
           {"7", "input"},
           {"[]", "input"},
           {"[7]", "input[0]"},
           {R"([{"type":"web_search_call"}])", "input[0].type"},
           {R"([{"role":"tool","content":"x"}])", "input[0].role"},
           {R"([{"role":"user","content":[{"type":"input_image"}]}])", "input[0].content[0].type"},
           {R"([{"role":"user","content":"x","odd":1}])", "input[0].odd"}}) {
    EXPECT_EQ(
        post("/v1/responses", fmt::format(R"({{"model":"tiny","input":{}}})", input), 400)["error"]["param"],
        param);
  }
}

TEST(ResponsesKeys, nobody_finds_anothers) {
  TestSetup setup;
  setup.server.api_keys = {"one", "two"};
  TestServer server(std::move(setup));
  const std::string one = "Authorization: Bearer one\r\n", two = "Authorization: Bearer two\r\n";
  const Json response = parse_json(server.post("/v1/responses", body(3), one).body);
  const std::string path = "/v1/responses/" + response["id"].get<std::string>();
  EXPECT_EQ(server.get(path, one).status, 200);
  const std::string follow = body(3, fmt::format(R"("previous_response_id":{})", response["id"].dump()));
  const std::string unknown = body(3, R"("previous_response_id":"resp_nobody's")");
  for (const HttpReply& reply :
       {server.get(path, two), ask(server, "DELETE", path, two), ask(server, "POST", path + "/cancel", two),
        server.post("/v1/responses", follow, two)})
    EXPECT_EQ(reply.status, 404) << reply.body;
  // The same words as of one that never was, but for the id.
  std::string others = server.post("/v1/responses", follow, two).body;
  others.replace(others.find(response["id"].get<std::string>()), response["id"].get<std::string>().size(),
                 "resp_nobody's");
  EXPECT_EQ(others, server.post("/v1/responses", unknown, two).body);
  EXPECT_EQ(server.get(path, one).status, 200);
}

TEST(ResponsesLife, one_that_is_made_is_in_progress_and_can_be_cancelled) {
  TestServer server(slow_setup());
  RawClient client = server.connect();
  client.send(post_request("/v1/responses", body(400, R"("stream":true)")));
  std::string seen;
  while (seen.find("response.output_text.delta") == std::string::npos) {
    const std::string more = client.read_some();
    ASSERT_FALSE(more.empty());
    seen += more;
  }
  const std::string path = "/v1/responses/" + seen.substr(seen.find("resp_"), 53);
  EXPECT_EQ(parse_json(server.get(path).body)["status"], "in_progress");
  const std::string follow = body(
      3, fmt::format(R"("previous_response_id":"{}")", path.substr(std::string("/v1/responses/").size())));
  EXPECT_EQ(server.post("/v1/responses", follow).status, 400);
  EXPECT_EQ(parse_json(ask(server, "POST", path + "/cancel").body)["status"], "cancelled");
  ASSERT_TRUE(server.is_idle_within(2s));
  EXPECT_EQ(parse_json(server.get(path).body)["status"], "cancelled");
  EXPECT_EQ(ask(server, "POST", path + "/cancel").status, 400);
}

TEST(ResponsesLife, nothing_is_kept_of_one_whose_client_has_left) {
  TestServer server(slow_setup());
  RawClient client = server.connect();
  client.send(post_request("/v1/responses", body(400, R"("stream":true)")));
  std::string seen;
  while (seen.find("resp_") == std::string::npos || seen.size() < seen.find("resp_") + 53)
    seen += client.read_some();
  const std::string path = "/v1/responses/" + seen.substr(seen.find("resp_"), 53);
  client.reset();
  ASSERT_TRUE(server.is_idle_within(2s));
  const auto deadline = std::chrono::steady_clock::now() + 2s;
  while (server.get(path).status != 404 && std::chrono::steady_clock::now() < deadline) continue;
  EXPECT_EQ(server.get(path).status, 404);
}

TEST(ResponsesLife, a_failure_is_a_response_too) {
  TestSetup setup = slow_setup();
  setup.server.request_timeout = 50ms;
  TestServer server(std::move(setup));
  const auto events = server.post("/v1/responses", body(400, R"("stream":true)")).events();
  const Json last = parse_json(events.back());
  EXPECT_EQ(last["type"], "response.failed");
  EXPECT_EQ(last["response"]["status"], "failed");
  EXPECT_EQ(last["response"]["error"]["code"], "server_error");
}

// Of a model that says what it was told, with the tool calls and the reasoning of Qwen 3.
class ResponsesTools : public ::testing::Test {
 protected:
  static Json body(const Json& input, const Json& more = Json::object()) {
    Json body{{"model", kModelName},
              {"input", input},
              {"tools",
               {{{"type", "function"},
                 {"name", "add"},
                 {"parameters", {{"type", "object"}, {"properties", {{"a", {{"type", "int"}}}}}}},
                 {"strict", nullptr}}}}};
    body.update(more);
    return body;
  }
  Json ask(const Json& body, int status = 200) {
    const HttpReply reply = server_.post("/v1/responses", body.dump());
    EXPECT_EQ(reply.status, status) << reply.body;
    return parse_json(reply.body);
  }

  TestServer server_{echo_setup(golden_template("qwen3_like.jinja"))};
};

constexpr const char* kAdd = "<tool_call>\n{\"name\": \"add\", \"arguments\": {\"a\": 3}}\n</tool_call>";

TEST_F(ResponsesTools, reasoning_text_and_calls_are_items_of_their_own) {
  const Json response = ask(body(std::string("<think>well</think>I add. ") + kAdd));
  EXPECT_EQ(response["status"], "completed");
  ASSERT_EQ(response["output"].size(), 3U) << response.dump();
  EXPECT_EQ(response["output"][0]["type"], "reasoning");
  EXPECT_EQ(response["output"][0]["content"][0]["text"], "well");
  EXPECT_EQ(response["output"][1]["content"][0]["text"], "I add.");
  EXPECT_EQ(response["output"][2]["type"], "function_call");
  EXPECT_EQ(response["output"][2]["name"], "add");
  EXPECT_EQ(response["output"][2]["arguments"], R"({"a": 3})");
  EXPECT_GT(response["usage"]["output_tokens_details"]["reasoning_tokens"], 0);
  EXPECT_EQ(response["tools"][0]["name"], "add");
}

TEST_F(ResponsesTools, the_events_of_each_item_add_up_to_it) {
  const Json asked = body(std::string("<think>well</think>I add. ") + kAdd + kAdd, {{"stream", true}});
  const auto events = server_.post("/v1/responses", asked.dump()).events();
  Json items = Json::array();
  std::string types, piece;
  for (std::size_t i = 0; i < events.size(); ++i) {
    const Json event = parse_json(events[i]);
    EXPECT_EQ(event["sequence_number"], i);
    const std::string type = event["type"].get<std::string>().substr(std::string("response.").size());
    if (type.ends_with("delta")) {
      EXPECT_EQ(event["output_index"], items.size());
      piece += event["delta"].get<std::string>();
      if (types.ends_with(type + " ")) continue;
    }
    types += type + " ";
    const bool is_text = type == "reasoning_text.done" || type == "output_text.done";
    if (is_text || type == "function_call_arguments.done") {
      EXPECT_EQ(event[is_text ? "text" : "arguments"], std::exchange(piece, ""));
    }
    if (type == "output_item.done") items.push_back(event["item"]);
  }
  const std::string call =
      "output_item.added function_call_arguments.delta function_call_arguments.done output_item.done ";
  EXPECT_EQ(types,
            "created in_progress "
            "output_item.added content_part.added reasoning_text.delta reasoning_text.done content_part.done "
            "output_item.done "
            "output_item.added content_part.added output_text.delta output_text.done content_part.done "
            "output_item.done " +
                call + call + "completed ");
  EXPECT_EQ(parse_json(events.back())["response"]["output"], items);
}

TEST_F(ResponsesTools, calls_and_results_are_the_chats_by_items_and_by_id) {
  const Json first = ask(body(kAdd));
  const Json& call = first["output"][0];
  const Json result{{"type", "function_call_output"}, {"call_id", call["call_id"]}, {"output", "5"}};
  const Json chat{{"model", kModelName},
                  {"max_tokens", 1},
                  {"messages",
                   {{{"role", "user"}, {"content", kAdd}},
                    {{"role", "assistant"},
                     {"content", nullptr},
                     {"tool_calls",
                      {{{"id", call["call_id"]},
                        {"type", "function"},
                        {"function", {{"name", "add"}, {"arguments", call["arguments"]}}}}}}},
                    {{"role", "tool"}, {"tool_call_id", call["call_id"]}, {"content", "5"}}}}};
  const Json expected = parse_json(server_.post("/v1/chat/completions", chat.dump()).body);
  const Json user{{"role", "user"}, {"content", kAdd}};
  const Json one{{"max_output_tokens", 1}, {"tools", Json::array()}};
  const Json by_items = ask(body(Json::array({user, call, result}), one));
  Json by_id = one;
  by_id["previous_response_id"] = first["id"];
  EXPECT_EQ(by_items["usage"]["input_tokens"], expected["usage"]["prompt_tokens"]);
  EXPECT_EQ(ask(body(Json::array({result}), by_id))["usage"]["input_tokens"],
            expected["usage"]["prompt_tokens"]);
}

TEST_F(ResponsesTools, refuses_by_name) {
  for (const auto& [more, param] : std::vector<std::pair<const char*, const char*>>{
           {R"({"tools": [{"type": "web_search"}]})", "tools[0].type"},
           {R"({"tools": [{"type": "function"}]})", "tools[0].name"},
           {R"({"tool_choice": {"type": "file_search"}})", "tool_choice.type"},
           {R"({"tool_choice": {"type": "function", "name": "div"}})", "tool_choice"},
           {R"({"tool_choice": "some"})", "tool_choice"},
           {R"({"input": [{"type": "function_call", "call_id": "c", "name": "n"}]})", "input[0].arguments"},
           {R"({"input": [{"type": "reasoning", "content": []}]})", "input"}})
    EXPECT_EQ(ask(body("x", Json::parse(more)), 400)["error"]["param"], param);
}

// Deeply nested arguments are text: no template and no printer should have to go down there.
TEST_F(ResponsesTools, survives_arguments_of_any_depth) {
  const std::string deep = R"({"a":)" + std::string(100'000, '[') + std::string(100'000, ']') + "}";
  const Json call{{"type", "function_call"}, {"call_id", "c"}, {"name", "add"}, {"arguments", deep}};
  const HttpReply reply =
      server_.post("/v1/responses", body(Json::array({call}), {{"max_output_tokens", 1}}).dump());
  EXPECT_EQ(reply.status, 400);
  ask(body("x", {{"max_output_tokens", 1}}));
}

}  // namespace
}  // namespace lmdeploy::testing
