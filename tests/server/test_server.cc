#include "server/test_server.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <sstream>

#include "base/log.h"

namespace lmdeploy::testing {
namespace {

template <typename Condition>
bool becomes_true(std::chrono::milliseconds timeout, const Condition& condition) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

// Of the ids <|im_start|>user\nTEXT<|im_end|>\n...<|im_start|>assistant\nANSWER: what comes next of TEXT.
std::int32_t echoed_token(const Tokenizer& tokenizer, std::span<const std::int32_t> ids) {
  const std::int32_t start = *tokenizer.token_to_id("<|im_start|>"),
                     end = *tokenizer.token_to_id("<|im_end|>");
  const auto head = std::find(ids.rbegin(), ids.rend(), start);
  const std::string before = tokenizer.decode(ids.first(static_cast<std::size_t>(ids.rend() - head)),
                                              {.skip_special_tokens = false});
  constexpr std::string_view kUser = "<|im_start|>user\n", kAssistant = "assistant\n";
  const std::size_t user = before.rfind(kUser);
  const auto num_behind = static_cast<std::size_t>(head - ids.rbegin());
  if (user == before.npos || num_behind < kAssistant.size()) return -1;
  const std::size_t begin = user + kUser.size();
  const std::size_t text_len = before.find("<|im_end|>\n<|im_start|>", begin) - begin;
  const auto wanted = tokenizer.encode(before.substr(begin, text_len), false);
  const std::size_t num_answered = num_behind - kAssistant.size();
  return num_answered < wanted.size() ? wanted[num_answered] : end;
}

}  // namespace

TestSetup::TestSetup() {
  server.server_name = "127.0.0.1";
  server.server_port = 0;
  server.handle_signals = false;
  server.log_requests = false;
  server.header_timeout = std::chrono::milliseconds(300);
  server.body_timeout = std::chrono::milliseconds(300);
  server.idle_timeout = std::chrono::milliseconds(5'000);
  server.write_timeout = std::chrono::milliseconds(500);
  server.drain_timeout = std::chrono::milliseconds(5'000);
  model.block_len = 16;
  engine.session_len = 512;
  engine.max_batch_size = 64;
  engine.cache_bytes = std::int64_t{8} * model.block_len * 2048;
  engine.num_threads = 1;
}

std::string golden_template(const std::string& name) {
  std::ifstream file(std::string(LMDEPLOY_SOURCE_DIR "/tests/golden/templates/") + name);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

TestSetup slow_setup(std::chrono::microseconds step_time) {
  TestSetup setup;
  setup.model.step_time = step_time;
  return setup;
}

TestSetup echo_setup(std::string template_source, DialectNames dialect) {
  TestSetup setup;
  setup.text_folder += "/bytes";
  setup.template_source = std::move(template_source);
  setup.dialect = std::move(dialect);
  const std::shared_ptr<const Tokenizer> tokenizer = Tokenizer::load(setup.text_folder);
  setup.model.vocab_size = tokenizer->vocab_size();
  setup.model.says = [tokenizer](std::span<const std::int32_t> ids) { return echoed_token(*tokenizer, ids); };
  setup.engine.session_len = 4096;
  return setup;
}

TestServer::TestServer(TestSetup setup) {
  tokenizer_ = Tokenizer::load(setup.text_folder);
  if (!setup.template_source.empty())
    chat_template_ = ChatTemplate::from_source(setup.template_source, "<|im_start|>", "<|im_end|>",
                                               tokenizer_->special_tokens());
  else if (setup.has_chat_template)
    chat_template_ = ChatTemplate::load(setup.text_folder, *tokenizer_);
  engine_ = std::make_unique<Engine>(std::make_unique<FakeModel>(std::move(setup.model)), setup.engine);
  SamplingParams greedy;
  greedy.temperature = 0;
  served_.reset(new ServedModel{{kModelName, "alias"},
                                *engine_,
                                *tokenizer_,
                                chat_template_.get(),
                                {*tokenizer_->token_to_id("<|im_end|>")},
                                greedy,
                                1'700'000'000});
  served_->dialect = find_dialect(chat_template_.get(), *tokenizer_, setup.dialect);
  server_ = std::make_unique<Server>(std::move(setup.server));
  server_->serve(*served_);
  thread_ = std::thread([this] {
    server_->run();
    returned_ = true;
  });
}

TestServer::~TestServer() {
  server_->stop();
  server_->stop();
  thread_.join();
}

std::string TestServer::decode(const std::vector<TokenId>& ids) const {
  return tokenizer_->decode(ids, {});
}

HttpReply TestServer::post(std::string_view path, std::string_view json,
                           std::string_view more_headers) const {
  RawClient client = connect();
  client.send(post_request(path, json, more_headers));
  return client.read_reply();
}

HttpReply TestServer::get(std::string_view path, std::string_view more_headers) const {
  RawClient client = connect();
  client.send(fmt::format("GET {} HTTP/1.1\r\nHost: localhost\r\n{}\r\n", path, more_headers));
  return client.read_reply();
}

bool TestServer::is_busy_within(std::chrono::milliseconds timeout) const {
  return becomes_true(timeout, [this] { return engine_->stats().num_running > 0; });
}

bool TestServer::has_begun_within(std::chrono::milliseconds timeout) const {
  return becomes_true(timeout, [this] { return engine_->stats().num_generated_tokens > 0; });
}

bool TestServer::is_idle_within(std::chrono::milliseconds timeout) const {
  return becomes_true(timeout, [this] {
    const EngineStats stats = engine_->stats();
    return stats.num_running == 0 && stats.num_waiting == 0 && stats.num_used_blocks == 0;
  });
}

bool TestServer::has_returned_within(std::chrono::milliseconds timeout) const {
  return becomes_true(timeout, [this] { return returned_.load(); });
}

Json ServerTest::post(std::string_view path, std::string_view body, int status) {
  const HttpReply reply = server_.post(path, body);
  EXPECT_EQ(reply.status, status) << reply.body;
  EXPECT_EQ(reply.headers.at("content-type"), "application/json");
  return parse_json(reply.body);
}

std::string chat_body(int max_tokens, std::string_view more_fields) {
  return fmt::format(
      R"({{"model":"tiny","messages":[{{"role":"user","content":"hello"}}],"ignore_eos":true,"max_tokens":{}{}{}}})",
      max_tokens, more_fields.empty() ? "" : ",", more_fields);
}

std::string completion_body(int max_tokens, std::string_view more_fields) {
  return fmt::format(R"({{"model":"tiny","prompt":"hello","ignore_eos":true,"max_tokens":{}{}{}}})",
                     max_tokens, more_fields.empty() ? "" : ",", more_fields);
}

}  // namespace lmdeploy::testing
