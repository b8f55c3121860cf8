#pragma once
// HTTP as this program speaks it to others: one request at a time, blocking, redirects left to the caller.
// http_client.cc is the only file with libcurl.
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace lmdeploy::client {

struct HttpOptions {
  std::chrono::milliseconds connect_timeout{10'000};
  std::chrono::milliseconds stall_timeout{60'000};  // without a byte; 0: wait for ever
  std::string ca_file;                              // certificates to trust; empty: the system's
};

struct HttpRequest {
  std::string method = "GET";
  std::string url;
  std::vector<std::string> headers;  // "Name: value"
  std::string body;                  // of a POST; of other methods where it is not empty
};

struct HttpResponse {
  int status = 0;  // 0: none came
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;      // empty where a sink took it
  std::string failure;   // what cut the exchange short; empty where it came to its end
  bool stopped = false;  // by the sink or the caller

  // The last header of that name, in any case; empty where there is none.
  std::string header(std::string_view name) const;
};

// Receives the body piece by piece, after the head. False ends the exchange.
using BodySink = std::function<bool(const HttpResponse& head, std::string_view data)>;

// One connection that is kept between requests to the same host. Not for several threads at once.
class HttpClient {
 public:
  explicit HttpClient(HttpOptions options = {});
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  // should_stop is asked ten times a second, also while nothing comes. Both functions may be empty. Only a
  // malformed URL throws (Error); everything that the network does is in the response.
  HttpResponse send(const HttpRequest& request, const BodySink& sink = {},
                    const std::function<bool()>& should_stop = {});

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// "https://host:443" of a URL: what a credential belongs to. Throws Error where `url` is no http(s) URL.
std::string origin_of(const std::string& url);

// The target of a Location header, which may be relative to `base`. Throws Error on nonsense.
std::string resolve_url(const std::string& base, const std::string& location);

// Everything but letters, digits and -._~/ as %XX.
std::string escape_path(std::string_view path);
std::string escape_name(std::string_view name);  // the slash too

std::string http_library_version();

}  // namespace lmdeploy::client
