#include "client/http_client_curl.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>

#include "base/error.h"

namespace lmdeploy::client {
namespace {

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.front())) != 0) text.remove_prefix(1);
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back())) != 0) text.remove_suffix(1);
  return text;
}

// Of a URL that origin_of() takes.
bool is_local_host(const std::string& url) {
  const std::string origin = origin_of(url);
  const std::string_view host = std::string_view(origin).substr(origin.find("://") + 3);
  return host.starts_with("localhost:") || host.starts_with("127.") || host.starts_with("[::1]:");
}

std::size_t on_header(const char* data, std::size_t, std::size_t size, void* user) {
  auto& exchange = *static_cast<CurlExchange*>(user);
  const std::string_view line(data, size);
  if (line.starts_with("HTTP/")) {  // also after a 100 Continue: only the last head counts
    exchange.response.headers.clear();
    const std::size_t space = line.find(' ');
    exchange.response.status = space == std::string_view::npos ? 0 : std::atoi(data + space);
  } else if (const std::size_t colon = line.find(':'); colon != std::string_view::npos) {
    exchange.response.headers.emplace_back(trimmed(line.substr(0, colon)), trimmed(line.substr(colon + 1)));
  }
  return size;
}

std::size_t on_body(const char* data, std::size_t, std::size_t size, void* user) {
  auto& exchange = *static_cast<CurlExchange*>(user);
  try {
    if (!*exchange.sink) {
      exchange.response.body.append(data, size);
    } else if (!(*exchange.sink)(exchange.response, {data, size})) {
      exchange.response.stopped = true;
      return 0;
    }
    return size;
  } catch (...) {
    exchange.exception = std::current_exception();
    return 0;
  }
}

}  // namespace

void initialize_curl() {
  static const CURLcode kCode = curl_global_init(CURL_GLOBAL_DEFAULT);
  if (kCode != CURLE_OK) throw Error(fmt::format("libcurl does not start: {}", curl_easy_strerror(kCode)));
}

ListPtr set_up_exchange(CURL* curl, const HttpOptions& options, const HttpRequest& request,
                        CurlExchange& exchange) {
  const bool is_local = is_local_host(request.url);
  curl_easy_reset(curl);
  curl_easy_setopt(curl, CURLOPT_URL, request.url.c_str());
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(options.connect_timeout.count()));
  if (options.stall_timeout.count() > 0) {
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME,
                     static_cast<long>(std::max<std::int64_t>(1, options.stall_timeout.count() / 1000)));
  }
  if (!options.ca_file.empty()) curl_easy_setopt(curl, CURLOPT_CAINFO, options.ca_file.c_str());
  curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
  curl_easy_setopt(curl, CURLOPT_HEADERDATA, &exchange);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &exchange);
  curl_easy_setopt(curl, CURLOPT_USERAGENT, "lmdeploy");

  // A proxy of the environment is for the world outside; a server on this machine is not behind it.
  if (is_local) curl_easy_setopt(curl, CURLOPT_PROXY, "");

  if (request.method == "HEAD") curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
  if (request.method == "POST" || !request.body.empty()) {
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request.body.data());
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
  }
  if (request.method != "GET" && request.method != "HEAD" && request.method != "POST")
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request.method.c_str());
  ListPtr headers;
  for (const std::string& header : request.headers)
    headers.reset(curl_slist_append(headers.release(), header.c_str()));
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers.get());
  return headers;
}

HttpResponse finish_exchange(CurlExchange& exchange, CURLcode result) {
  if (exchange.exception) std::rethrow_exception(exchange.exception);
  if (exchange.response.stopped)
    exchange.response.failure = "stopped";
  else if (result != CURLE_OK)
    exchange.response.failure = curl_easy_strerror(result);
  return std::move(exchange.response);
}

}  // namespace lmdeploy::client
