#include "client/hub_range.h"

#include <fmt/format.h>

#include <algorithm>

#include "client/hub_api.h"

namespace lmdeploy::client {
namespace {

bool is_success(const HttpResponse& response) {
  return response.status == 200 || response.status == 206;
}

// A hub that ignores ranges sends everything; what comes after the wanted bytes is cut off.
HttpResponse request_first_bytes(HubConnection& hub, const std::string& url, std::int64_t count,
                                 std::string& bytes) {
  const HubOptions& options = hub.options();
  return hub.exchange("GET", url, {fmt::format("Range: bytes=0-{}", std::max<std::int64_t>(count, 1) - 1)},
                      [&](const HttpResponse& head, std::string_view data) {
                        if (!is_success(head)) return true;  // an error page is not the file
                        bytes.append(data.substr(0, static_cast<std::size_t>(count - std::ssize(bytes))));
                        if (options.on_progress) options.on_progress({0, 1, std::ssize(bytes), count});
                        return std::ssize(bytes) < count;
                      });
}

}  // namespace

std::string fetch_first_bytes(HubConnection& hub, const HubRepo& repo, const std::string& revision,
                              const std::string& path, std::int64_t count) {
  const std::string url = file_url(hub.options(), repo, revision, path);
  for (int attempt = 1;; ++attempt) {
    std::string bytes;
    const HttpResponse response = request_first_bytes(hub, url, count, bytes);
    const bool whole = is_success(response) && response.failure.empty();
    if (whole || std::ssize(bytes) == count) return bytes;
    if (attempt >= hub.options().max_attempts || !may_pass(response))
      refuse_answer(response, repo, hub.options());
    hub.pause(attempt, response);
  }
}

}  // namespace lmdeploy::client
