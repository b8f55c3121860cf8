// lmdeploy serve api_client: the terminal chat with any server that speaks OpenAI's API.
#include <memory>

#include "base/error.h"
#include "cli/command.h"
#include "cli/environment.h"
#include "cli/sampling_options.h"
#include "cli/say.h"
#include "cli/talk.h"
#include "client/chat_client.h"

namespace lmdeploy::cli {
namespace {

using Json = nlohmann::ordered_json;

struct Options {
  std::string url;
  std::string api_key;
  std::string model_name;
  SamplingOptions sampling;
  TalkOptions talk;
};

Json request_template(const std::string& model, const Options& options) {
  const SamplingOptions& sampling = options.sampling;
  Json body{{"model", model}};
  if (sampling.temperature) body["temperature"] = *sampling.temperature;
  if (sampling.top_p) body["top_p"] = *sampling.top_p;
  if (sampling.min_p) body["min_p"] = *sampling.min_p;
  if (sampling.top_k) body["top_k"] = *sampling.top_k;
  if (sampling.repetition_penalty) body["repetition_penalty"] = *sampling.repetition_penalty;
  if (sampling.seed) body["seed"] = *sampling.seed;
  if (sampling.max_new_tokens > 0) body["max_tokens"] = sampling.max_new_tokens;
  // Asked for only where it is shown: some servers do not know the field.
  if (options.talk.stats) body["stream_options"] = {{"include_usage", true}};
  return body;
}

class RemoteBackend : public ReplBackend {
 public:
  RemoteBackend(client::ChatClient& client, Json body) : client_(client), body_(std::move(body)) {}

  ReplAnswer answer(const Json& messages, const std::function<void(std::string_view)>& on_text,
                    const std::function<bool()>& should_stop) override {
    ReplAnswer answer;
    try {
      body_["messages"] = messages;
      const client::ChatAnswer received = client_.chat(body_, on_text, should_stop);
      answer.text = received.text;
      answer.tokens = {received.num_tokens, received.num_prompt_tokens, received.num_cached_tokens};
      if (received.finish_reason == "length") answer.end = ReplAnswer::End::length;
      if (received.finish_reason == "abort") answer.end = ReplAnswer::End::stopped;
    } catch (const Error& error) {
      answer.end = ReplAnswer::End::refused;
      answer.problem = error.what();
    }
    // As in the chat with a model of this process: an answer to the same message may be another one.
    if (body_.contains("seed")) body_["seed"] = body_["seed"].get<std::uint64_t>() + 1;
    return answer;
  }

 private:
  client::ChatClient& client_;
  Json body_;
};

int talk_to_server(const Options& options) {
  client::ChatClient client(options.url, options.api_key);
  const std::vector<std::string> models = client.list_models();
  const std::string& model = options.model_name.empty() ? models.front() : options.model_name;
  say(fmt::format("Talking to {} at {}", model, client.url()));
  RemoteBackend backend(client, request_template(model, options));
  talk(backend, options.talk, {});
  return 0;
}

}  // namespace

Action setup_serve_api_client(CLI::App& app) {
  auto options = std::make_shared<Options>();
  app.add_option("URL", options->url, "The server, such as http://localhost:23333")->required();
  app.add_option("--api-key", options->api_key, "Key to send")->option_text("KEY");
  app.add_option("--model-name", options->model_name, "Which of its models; default: the first")
      ->option_text("NAME");
  app.add_option("--session-id")
      ->description("Without effect: the conversation lives here")
      ->option_text("N");
  add_talk_options(app, options->talk);
  add_sampling_options(app, options->sampling, "Sampling (default: as the server has it)");
  return [options] { return talk_to_server(*options); };
}

}  // namespace lmdeploy::cli
