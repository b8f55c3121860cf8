#include "client/chat_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "client/stand_in_server.h"

namespace lmdeploy::client {
namespace {

using ::testing::HasSubstr;
using Json = nlohmann::ordered_json;

std::string chunk(const Json& delta, const Json& finish_reason = nullptr) {
  const Json body{{"choices", {{{"index", 0}, {"delta", delta}, {"finish_reason", finish_reason}}}}};
  return "data: " + body.dump() + "\n\n";
}

const std::string kParis = chunk({{"role", "assistant"}, {"content", ""}}) + chunk({{"content", "Par"}}) +
                           chunk({{"content", "is."}}) + chunk(Json::object(), "stop") +
                           "data: {\"choices\":[],\"usage\":{}}\n\ndata: [DONE]\n\n";

class ChatClientTest : public ::testing::Test {
 protected:
  ChatClientTest() : server_([this](const SeenRequest&) { return reply_; }) {}

  ChatAnswer chat(ChatClient& client) {
    return client.chat(
        {{"model", "m"}, {"messages", Json::array()}}, [this](std::string_view text) { streamed_ += text; },
        [] { return false; });
  }
  std::string failure(ChatClient& client) {
    try {
      chat(client);
    } catch (const Error& error) {
      return error.what();
    }
    return "it did not fail";
  }

  StandInReply reply_;
  StandInServer server_;
  std::string streamed_;
};

TEST_F(ChatClientTest, FoldsAStream) {
  reply_.body = kParis;
  ChatClient client(server_.url(), "key");
  const ChatAnswer answer = chat(client);
  EXPECT_EQ(answer.text, "Paris.");
  EXPECT_EQ(streamed_, "Paris.");
  EXPECT_EQ(answer.finish_reason, "stop");
  const SeenRequest request = server_.seen().at(0);
  EXPECT_EQ(request.target, "/v1/chat/completions");
  EXPECT_EQ(request.headers.at("authorization"), "Bearer key");
  EXPECT_EQ(Json::parse(request.body)["stream"], true);
}

TEST_F(ChatClientTest, TakesTheCountsOfTheUsage) {
  const Json usage{
      {"completion_tokens", 3}, {"prompt_tokens", 9}, {"prompt_tokens_details", {{"cached_tokens", 4}}}};
  reply_.body = chunk({{"content", "Paris."}}, "stop") +
                "data: " + Json{{"choices", Json::array()}, {"usage", usage}}.dump() + "\n\ndata: [DONE]\n\n";
  ChatClient client(server_.url(), "");
  ChatAnswer answer = chat(client);
  EXPECT_EQ(answer.num_tokens, 3);
  EXPECT_EQ(answer.num_prompt_tokens, 9);
  EXPECT_EQ(answer.num_cached_tokens, 4);
  reply_.body =
      chunk({{"content", "Paris."}}, "stop") +
      "data: {\"choices\":[],\"usage\":{\"completion_tokens\":\"3\",\"prompt_tokens_details\":null}}\n\n" +
      "data: [DONE]\n\n";
  answer = chat(client);
  EXPECT_FALSE(answer.num_tokens);
  EXPECT_FALSE(answer.num_cached_tokens);
}

TEST_F(ChatClientTest, ShowsReasoningButKeepsOnlyTheAnswer) {
  reply_.body = chunk({{"reasoning_content", "hm. "}}) + kParis;
  ChatClient client(server_.url(), "");
  EXPECT_EQ(chat(client).text, "Paris.");
  EXPECT_EQ(streamed_, "hm. Paris.");
}

TEST_F(ChatClientTest, TakesTheUrlInAnyForm) {
  reply_.body = R"({"object":"list","data":[{"id":"a"},{"id":"b"}]})";
  const std::string bare = server_.url().substr(std::string("http://").size());
  for (const std::string& url : {server_.url(), server_.url() + "/", server_.url() + "/v1", bare})
    EXPECT_EQ(ChatClient(url, "").list_models(), (std::vector<std::string>{"a", "b"})) << url;
  EXPECT_EQ(server_.seen().back().target, "/v1/models");
}

TEST_F(ChatClientTest, PassesTheServersWordsOn) {
  ChatClient client(server_.url(), "");
  reply_ = {400, {}, R"({"error":{"message":"too long","type":"x","param":null,"code":400}})", -1, -1};
  EXPECT_THAT(failure(client), HasSubstr("too long"));
  reply_ = {400, {}, R"({"message":"flat words","object":"error"})", -1, -1};
  EXPECT_THAT(failure(client), HasSubstr("flat words"));
  reply_ = {401, {}, "", -1, -1};
  EXPECT_THAT(failure(client), HasSubstr("--api-key"));
  reply_ = {200,
            {},
            chunk({{"content", "Pa"}}) + "event: error\ndata: {\"error\":{\"message\":\"engine died\"}}\n\n",
            -1,
            -1};
  EXPECT_THAT(failure(client), HasSubstr("engine died"));
}

TEST_F(ChatClientTest, NoticesAnAnswerWithoutItsEnd) {
  ChatClient client(server_.url(), "");
  reply_ = {200, {}, chunk({{"content", "Pa"}}), -1, -1};
  EXPECT_THAT(failure(client), HasSubstr("before its end"));
  reply_ = {200, {}, kParis, 60, -1};
  EXPECT_THAT(failure(client), HasSubstr("broke"));
}

TEST_F(ChatClientTest, StopsWhenAsked) {
  reply_.body = kParis;
  ChatClient client(server_.url(), "");
  const ChatAnswer answer =
      client.chat({{"messages", Json::array()}}, [](std::string_view) {}, [] { return true; });
  EXPECT_EQ(answer.finish_reason, "abort");
}

TEST(ChatClient, SaysWhenNobodyIsThere) {
  ChatClient client("http://127.0.0.1:1", "");
  EXPECT_THROW(client.list_models(), Error);
}

}  // namespace
}  // namespace lmdeploy::client
