#pragma once
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "client/http_client.h"

namespace lmdeploy::client {

struct ChatAnswer {
  std::string text;
  std::string
      finish_reason;  // the server's: stop, length, ...; "abort" where on_text or should_stop ended it
  // Of the usage, where the server sent one: `stream_options: {"include_usage": true}` asks for it.
  std::optional<std::int64_t> num_tokens, num_prompt_tokens, num_cached_tokens;
};

// A server that speaks OpenAI's chat API.
class ChatClient {
 public:
  // url: http://host:port, with or without /v1 behind it; a missing http:// is added. api_key may be empty.
  ChatClient(std::string url, std::string api_key, HttpOptions options = {});

  // Ids of /v1/models. Throws Error: no server there, a wrong key, an answer that is none.
  std::vector<std::string> list_models();

  // Streams one answer. body: a chat request without `stream`. on_text gets each piece of text, the
  // reasoning of a model that sends it apart included. Throws Error with the server's own words.
  ChatAnswer chat(nlohmann::ordered_json body, const std::function<void(std::string_view)>& on_text,
                  const std::function<bool()>& should_stop);

  const std::string& url() const noexcept { return url_; }

 private:
  HttpRequest request(std::string method, const std::string& path) const;
  void check(const HttpResponse& response, const std::string& body) const;

  std::string url_;  // ends before /v1
  std::string api_key_;
  HttpClient http_;
};

}  // namespace lmdeploy::client
