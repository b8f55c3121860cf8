#include "client/chat_client.h"

#include "base/error.h"
#include "client/error_message.h"
#include "client/sse_parser.h"

namespace lmdeploy::client {
namespace {

using Json = nlohmann::ordered_json;

std::string normalized(std::string url) {
  if (url.find("://") == std::string::npos) url = "http://" + url;
  while (url.ends_with('/')) url.pop_back();
  if (url.ends_with("/v1")) url.resize(url.size() - 3);
  origin_of(url);
  return url;
}

std::string text_of(const Json& delta, const char* key) {
  const auto it = delta.find(key);
  return it != delta.end() && it->is_string() ? it->get<std::string>() : std::string{};
}

std::optional<std::int64_t> count_of(const Json& usage, const char* key) {
  const auto it = usage.find(key);
  return it != usage.end() && it->is_number_integer() ? std::optional(it->get<std::int64_t>()) : std::nullopt;
}

// Folds the chunks of a stream into an answer.
class AnswerReader {
 public:
  explicit AnswerReader(const std::function<void(std::string_view)>& on_text) : on_text_(on_text) {}

  void event(const SseEvent& event) {
    if (event.data == "[DONE]") {
      done_ = true;
      return;
    }
    const Json chunk = Json::parse(event.data, nullptr, false);
    if (!chunk.is_object())
      throw Error("the server sent an event that is no JSON object", "Check that the URL is an OpenAI API.");
    if (event.name == "error" || chunk.contains("error"))
      throw Error(fmt::format("the server ended the answer: {}", error_message(event.data)));
    if (const auto it = chunk.find("usage"); it != chunk.end() && it->is_object()) usage(*it);
    const auto choices = chunk.find("choices");
    if (choices == chunk.end() || !choices->is_array() || choices->empty()) return;
    choice(choices->front());
  }

  ChatAnswer take() { return std::move(answer_); }
  bool complete() const { return done_ || !answer_.finish_reason.empty(); }

 private:
  void usage(const Json& usage) {
    answer_.num_tokens = count_of(usage, "completion_tokens");
    answer_.num_prompt_tokens = count_of(usage, "prompt_tokens");
    if (const auto it = usage.find("prompt_tokens_details"); it != usage.end() && it->is_object())
      answer_.num_cached_tokens = count_of(*it, "cached_tokens");
  }

  void choice(const Json& choice) {
    const std::string reason = text_of(choice, "finish_reason");
    if (!reason.empty()) answer_.finish_reason = reason;
    const auto delta = choice.find("delta");
    if (delta == choice.end() || !delta->is_object()) return;
    if (const std::string reasoning = text_of(*delta, "reasoning_content"); !reasoning.empty())
      on_text_(reasoning);
    const std::string text = text_of(*delta, "content");
    if (text.empty()) return;
    answer_.text += text;
    on_text_(text);
  }

  const std::function<void(std::string_view)>& on_text_;
  ChatAnswer answer_;
  bool done_ = false;
};

}  // namespace

ChatClient::ChatClient(std::string url, std::string api_key, HttpOptions options)
    : url_(normalized(std::move(url))), api_key_(std::move(api_key)), http_(std::move(options)) {}

HttpRequest ChatClient::request(std::string method, const std::string& path) const {
  HttpRequest request;
  request.method = std::move(method);
  request.url = url_ + path;
  request.headers = {"Accept: application/json, text/event-stream"};
  if (request.method == "POST") request.headers.push_back("Content-Type: application/json");
  if (!api_key_.empty()) request.headers.push_back("Authorization: Bearer " + api_key_);
  return request;
}

void ChatClient::check(const HttpResponse& response, const std::string& body) const {
  if (response.status == 0)
    throw Error(fmt::format("no answer from {}: {}", url_, response.failure),
                "Start a server with: lmdeploy serve api_server MODEL");
  if (response.status == 401 || response.status == 403)
    throw Error(fmt::format("{} refuses the key: {}", url_, error_message(body)),
                "Give a valid one with --api-key.");
  if (response.status != 200)
    throw Error(fmt::format("{} answers with status {}: {}", url_, response.status, error_message(body)));
  if (!response.failure.empty() && !response.stopped)
    throw Error(fmt::format("the connection to {} broke: {}", url_, response.failure), "Try again.");
}

std::vector<std::string> ChatClient::list_models() {
  const HttpResponse response = http_.send(request("GET", "/v1/models"));
  check(response, response.body);
  const Json json = Json::parse(response.body, nullptr, false);
  std::vector<std::string> ids;
  if (json.is_object() && json.contains("data") && json["data"].is_array())
    for (const Json& model : json["data"])
      if (model.is_object()) ids.push_back(text_of(model, "id"));
  if (ids.empty())
    throw Error(fmt::format("{}/v1/models names no model", url_), "Check that the URL is an OpenAI API.");
  return ids;
}

ChatAnswer ChatClient::chat(nlohmann::ordered_json body, const std::function<void(std::string_view)>& on_text,
                            const std::function<bool()>& should_stop) {
  body["stream"] = true;
  HttpRequest post = request("POST", "/v1/chat/completions");
  post.body = body.dump(-1, ' ', false, Json::error_handler_t::replace);

  AnswerReader reader(on_text);
  SseParser parser([&](const SseEvent& event) { reader.event(event); });
  std::string error_body;
  const HttpResponse response = http_.send(
      post,
      [&](const HttpResponse& head, std::string_view data) {
        if (head.status == 200)
          parser.feed(data);
        else
          error_body.append(data);
        return true;
      },
      should_stop);
  if (!response.stopped || response.status != 0) check(response, error_body);
  if (!response.stopped && !reader.complete())
    throw Error(fmt::format("{} ended the answer before its end", url_), "Try again.");
  ChatAnswer answer = reader.take();
  if (response.stopped) answer.finish_reason = "abort";
  return answer;
}

}  // namespace lmdeploy::client
