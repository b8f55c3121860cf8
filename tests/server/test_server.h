#pragma once
// The real server and engine on a free port, with the model of tests/support and a tokenizer of 64
// characters.
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <thread>

#include "model/model.h"
#include "server/json.h"
#include "server/raw_client.h"
#include "server/server.h"
#include "support/fake_model.h"

namespace lmdeploy::testing {

struct TestSetup {
  TestSetup();  // loopback, no signals, short timeouts, session length 512
  ServerOptions server;
  EngineOptions engine;
  FakeModelOptions model;
  bool has_chat_template = true;
  std::string text_folder = LMDEPLOY_SOURCE_DIR "/tests/server/data";  // of the tokenizer and the template
  std::string template_source;                                         // instead of the folder's
  DialectNames dialect;
};

// The source of one of tests/golden/templates.
std::string golden_template(const std::string& name);

// Answers with the last text of the user, markers in it as the special tokens that they are, a byte of the
// rest in each token: what a model might say is a part of the request. The vocabulary has the markers of
// every form of tool call.
TestSetup echo_setup(std::string template_source, DialectNames dialect = {});

// Answers that take long enough to be cut, or to meet others.
TestSetup slow_setup(std::chrono::microseconds step_time = std::chrono::milliseconds(1));

inline constexpr const char* kModelName = "tiny";

class TestServer {
 public:
  explicit TestServer(TestSetup setup = {});
  ~TestServer();  // stops at once

  std::uint16_t port() const { return server_->port(); }
  RawClient connect() const { return RawClient(port()); }
  Server& server() { return *server_; }
  Engine& engine() { return *engine_; }
  const ServedModel& model() const { return *served_; }
  std::string decode(const std::vector<TokenId>& ids) const;

  HttpReply post(std::string_view path, std::string_view json, std::string_view more_headers = "") const;
  HttpReply get(std::string_view path, std::string_view more_headers = "") const;

  bool is_busy_within(std::chrono::milliseconds timeout) const;  // a request runs
  bool has_begun_within(
      std::chrono::milliseconds timeout) const;  // the first token was drawn, perhaps long ago
  // Nothing runs or waits and no block is in use.
  bool is_idle_within(std::chrono::milliseconds timeout) const;
  bool has_returned_within(std::chrono::milliseconds timeout) const;  // run()

 private:
  std::unique_ptr<Tokenizer> tokenizer_;
  std::unique_ptr<ChatTemplate> chat_template_;
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<ServedModel> served_;
  std::unique_ptr<Server> server_;
  std::atomic<bool> returned_{false};
  std::thread thread_;
};

class ServerTest : public ::testing::Test {
 protected:
  // The JSON that answers; fails the test where the status is another.
  Json post(std::string_view path, std::string_view body, int status = 200);

  TestServer server_;
};

// The body of a chat or a completion that runs for max_tokens unless more fields say otherwise.
std::string chat_body(int max_tokens, std::string_view more_fields = "");
std::string completion_body(int max_tokens, std::string_view more_fields = "");

}  // namespace lmdeploy::testing
