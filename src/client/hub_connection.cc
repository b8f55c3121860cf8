#include "client/hub_connection.h"

#include <algorithm>
#include <charconv>
#include <thread>

#include "base/error.h"
#include "base/log.h"

namespace lmdeploy::client {
namespace {

using std::chrono::milliseconds;

constexpr int kMaxRedirects = 10;
constexpr milliseconds kMaxPause{60'000};
constexpr milliseconds kStopInterval{50};

bool is_redirect(const HttpResponse& response) {
  const int status = response.status;
  return (status == 301 || status == 302 || status == 303 || status == 307 || status == 308) &&
         !response.header("Location").empty();
}

milliseconds pause_before(int attempt, const HttpResponse& response, milliseconds delay) {
  const std::string wanted = response.header("Retry-After");
  int seconds = 0;
  const auto [end, error] = std::from_chars(wanted.data(), wanted.data() + wanted.size(), seconds);
  if (error == std::errc() && end == wanted.data() + wanted.size() && seconds >= 0)
    return std::min(milliseconds(std::chrono::seconds(seconds)), kMaxPause);
  return std::min(delay * (1 << std::min(attempt - 1, 10)), kMaxPause);
}

}  // namespace

HubConnection::HubConnection(const HubOptions& options, std::function<bool()> should_stop)
    : options_(options),
      should_stop_(std::move(should_stop)),
      origin_(origin_of(options.endpoint)),
      http_(options.http) {}

HttpResponse HubConnection::exchange(const std::string& method, const std::string& url,
                                     const std::vector<std::string>& headers, const BodySink& sink) {
  HttpRequest request{method, url, headers, {}};
  const BodySink final_only = [&](const HttpResponse& head, std::string_view data) {
    return is_redirect(head) || sink(head, data);
  };
  for (int num_redirects = 0; num_redirects <= kMaxRedirects; ++num_redirects) {
    request.headers = headers;
    if (!options_.token.empty() && origin_of(request.url) == origin_)
      request.headers.push_back("Authorization: Bearer " + options_.token);
    HttpResponse response = http_.send(request, sink ? final_only : BodySink{}, should_stop_);
    if (!is_redirect(response)) return response;
    request.url = resolve_url(request.url, response.header("Location"));
  }
  throw Error(fmt::format("{} redirects without an end", url), "Check HF_ENDPOINT and any proxy in between.");
}

HttpResponse HubConnection::ask(int max_attempts, const std::string& method, const std::string& url) {
  for (int attempt = 1;; ++attempt) {
    HttpResponse response = exchange(method, url, {});
    if (!may_pass(response) || attempt >= max_attempts || stopped()) return response;
    log::warn("{}: {}; trying again ({} of {})", url,
              response.status == 0 ? response.failure : fmt::format("status {}", response.status),
              attempt + 1, max_attempts);
    pause(attempt, response);
  }
}

void HubConnection::pause(int attempt, const HttpResponse& response) const {
  const auto end = std::chrono::steady_clock::now() + pause_before(attempt, response, options_.retry_delay);
  while (std::chrono::steady_clock::now() < end && !stopped()) std::this_thread::sleep_for(kStopInterval);
}

bool may_pass(const HttpResponse& response) {
  if (!response.failure.empty()) return !response.stopped;
  return response.status == 408 || response.status == 429 || response.status >= 500;
}

void refuse_offline(const HubRepo& repo, const HubOptions& options, const char* action) {
  throw Error(fmt::format("{} is not in {} and HF_HUB_OFFLINE forbids to {}", repo.id,
                          options.cache_dir.string(), action),
              repo.kind == HubRepo::Kind::model
                  ? "Unset HF_HUB_OFFLINE, or give the folder of a local copy as MODEL."
                  : "Unset HF_HUB_OFFLINE.");
}

void refuse_answer(const HttpResponse& response, const HubRepo& repo, const HubOptions& options) {
  const std::string code = response.header("X-Error-Code");
  const int status = response.status;
  const bool is_model = repo.kind == HubRepo::Kind::model;
  const std::string page = fmt::format("{}/{}", options.endpoint, repo.page_path());
  if (status == 0 || (status < 300 && !response.failure.empty()))
    throw Error(fmt::format("{} cannot be reached: {}", options.endpoint, response.failure),
                fmt::format("Check the network; HF_ENDPOINT names another hub, HTTPS_PROXY a proxy.{}",
                            is_model ? " With a local copy: give its folder as MODEL." : ""));
  if (code == "GatedRepo" || (status == 403 && !options.token.empty()))
    throw Error(fmt::format("{} is only for those who accepted its conditions", repo.id),
                fmt::format("Accept them at {}, then set HF_TOKEN to a token of that account.", page));
  if (code == "RevisionNotFound")
    throw Error(fmt::format("{} has no revision '{}'", repo.id, options.revision),
                fmt::format("See its branches and tags at {}/tree/main.", page));
  if (code == "EntryNotFound")
    throw Error(fmt::format("{} lacks a file that it lists", repo.id),
                is_model ? "Try again, or choose another --revision." : "Try again later.");
  if (status == 401 && !options.token.empty() && code != "RepoNotFound")
    throw Error(fmt::format("{} refuses the token (status 401)", options.endpoint),
                "Set HF_TOKEN to a valid token, or remove it for what is public.");
  if (status == 401 || status == 403 || status == 404)
    throw Error(fmt::format("there is no {} {} at {}, or it is private (status {})", repo.noun(), repo.id,
                            options.endpoint, status),
                fmt::format("Check the spelling; for a private {} set HF_TOKEN.", repo.noun()));
  if (status == 429)
    throw Error(fmt::format("{} asks for fewer requests (status 429)", options.endpoint),
                "Wait a few minutes; what was downloaded is kept. HF_TOKEN raises the limit.");
  throw Error(fmt::format("{} answers with status {} {}", options.endpoint, status,
                          response.header("X-Error-Message")),
              "Try again later; what was downloaded is kept.");
}

}  // namespace lmdeploy::client
