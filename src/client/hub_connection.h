#pragma once
#include <functional>
#include <string>
#include <vector>

#include "client/hub.h"
#include "client/hub_repo.h"

namespace lmdeploy::client {

// Requests to the hub and to where it redirects. Not for several threads at once.
class HubConnection {
 public:
  // Borrows the options. should_stop may be empty.
  explicit HubConnection(const HubOptions& options, std::function<bool()> should_stop = {});

  // One request, its redirects followed. The token goes to the endpoint's own origin only. The sink sees the
  // final answer's body.
  HttpResponse exchange(const std::string& method, const std::string& url,
                        const std::vector<std::string>& headers, const BodySink& sink = {});

  // The same without a body sink, tried again with growing pauses while the fault may pass.
  HttpResponse ask(int max_attempts, const std::string& method, const std::string& url);

  // Sleeps before attempt number `attempt` (from 1): as long as the server's Retry-After says, or a delay
  // that doubles. Returns early when told to stop.
  void pause(int attempt, const HttpResponse& response) const;

  const HubOptions& options() const noexcept { return options_; }
  bool stopped() const { return should_stop_ && should_stop_(); }

 private:
  const HubOptions& options_;
  std::function<bool()> should_stop_;
  std::string origin_;  // of the endpoint
  HttpClient http_;
};

// Whether trying again may help: no answer, 408, 429, 5xx.
bool may_pass(const HttpResponse& response);

// Throws the Error that a repository which is not in the cache means while HF_HUB_OFFLINE forbids to
// `action`: "download it".
[[noreturn]] void refuse_offline(const HubRepo& repo, const HubOptions& options, const char* action);

// Throws the Error that a refusal (or no answer at all) means to the user.
[[noreturn]] void refuse_answer(const HttpResponse& response, const HubRepo& repo, const HubOptions& options);

}  // namespace lmdeploy::client
