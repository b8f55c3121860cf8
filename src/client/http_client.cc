#include "client/http_client.h"

#include <curl/curl.h>

#include <algorithm>
#include <cctype>

#include "base/error.h"

namespace lmdeploy::client {
namespace {

constexpr int kPollMs = 100;

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.front())) != 0) text.remove_prefix(1);
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back())) != 0) text.remove_suffix(1);
  return text;
}

struct FreeCurl {
  void operator()(CURL* handle) const { curl_easy_cleanup(handle); }
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
  void operator()(CURLU* url) const { curl_url_cleanup(url); }
  void operator()(char* text) const { curl_free(text); }
};
struct FreeMulti {  // CURLM and CURL are the same type
  void operator()(CURLM* handle) const { curl_multi_cleanup(handle); }
};
using UrlPtr = std::unique_ptr<CURLU, FreeCurl>;

// libcurl wants this before its first use, once per process.
void initialize_library() {
  static const CURLcode kCode = curl_global_init(CURL_GLOBAL_DEFAULT);
  if (kCode != CURLE_OK) throw Error(fmt::format("libcurl does not start: {}", curl_easy_strerror(kCode)));
}

UrlPtr parse_url(const std::string& text) {
  UrlPtr url(curl_url());
  const CURLUcode code = curl_url_set(url.get(), CURLUPART_URL, text.c_str(), 0);
  if (code != CURLUE_OK)
    throw Error(fmt::format("'{}' is no URL: {}", text, curl_url_strerror(code)),
                "Write it as http://host:port or https://host.");
  return url;
}

std::string part_of(const UrlPtr& url, CURLUPart part, unsigned flags) {
  char* text = nullptr;
  if (curl_url_get(url.get(), part, &text, flags) != CURLUE_OK) return {};
  const std::unique_ptr<char, FreeCurl> owner(text);
  return text;
}

bool is_local(const std::string& text) {
  const std::string host = part_of(parse_url(text), CURLUPART_HOST, 0);
  return host == "localhost" || host.starts_with("127.") || host == "[::1]";
}

// What the callbacks of one exchange write to.
struct Exchange {
  HttpResponse response;
  const BodySink* sink;
  std::exception_ptr exception;  // of the sink; libcurl is C, nothing may fly through it
};

std::size_t on_header(const char* data, std::size_t, std::size_t size, void* user) {
  auto& exchange = *static_cast<Exchange*>(user);
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
  auto& exchange = *static_cast<Exchange*>(user);
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

std::string HttpResponse::header(std::string_view name) const {
  for (auto it = headers.rbegin(); it != headers.rend(); ++it)
    if (equal_ignoring_case(it->first, name)) return it->second;
  return {};
}

struct HttpClient::Impl {
  HttpOptions options;
  std::unique_ptr<CURL, FreeCurl> easy;
  std::unique_ptr<CURLM, FreeMulti> multi;

  std::unique_ptr<curl_slist, FreeCurl> set_up(const HttpRequest& request, Exchange& exchange);
  CURLcode perform(Exchange& exchange, const std::function<bool()>& should_stop);
};

HttpClient::HttpClient(HttpOptions options) : impl_(std::make_unique<Impl>()) {
  initialize_library();
  impl_->options = std::move(options);
  impl_->easy.reset(curl_easy_init());
  impl_->multi.reset(curl_multi_init());
  CHECK(impl_->easy && impl_->multi);
}

HttpClient::~HttpClient() = default;

std::unique_ptr<curl_slist, FreeCurl> HttpClient::Impl::set_up(const HttpRequest& request,
                                                               Exchange& exchange) {
  CURL* curl = easy.get();
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
  if (is_local(request.url)) curl_easy_setopt(curl, CURLOPT_PROXY, "");

  if (request.method == "HEAD") curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
  if (request.method == "POST") {
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request.body.data());
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
  }
  std::unique_ptr<curl_slist, FreeCurl> headers;
  for (const std::string& header : request.headers)
    headers.reset(curl_slist_append(headers.release(), header.c_str()));
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers.get());
  return headers;
}

CURLcode HttpClient::Impl::perform(Exchange& exchange, const std::function<bool()>& should_stop) {
  curl_multi_add_handle(multi.get(), easy.get());
  CURLcode result = CURLE_OK;
  for (int num_running = 1; num_running > 0;) {
    if (curl_multi_perform(multi.get(), &num_running) != CURLM_OK) {
      result = CURLE_FAILED_INIT;
      break;
    }
    if (should_stop && should_stop()) {
      exchange.response.stopped = true;
      break;
    }
    if (num_running > 0) curl_multi_poll(multi.get(), nullptr, 0, kPollMs, nullptr);
  }
  int num_left = 0;
  while (const CURLMsg* message = curl_multi_info_read(multi.get(), &num_left))
    if (message->msg == CURLMSG_DONE) result = message->data.result;
  curl_multi_remove_handle(multi.get(), easy.get());
  return result;
}

HttpResponse HttpClient::send(const HttpRequest& request, const BodySink& sink,
                              const std::function<bool()>& should_stop) {
  origin_of(request.url);
  Exchange exchange{{}, &sink, nullptr};
  const auto headers = impl_->set_up(request, exchange);
  const CURLcode result = impl_->perform(exchange, should_stop);
  if (exchange.exception) std::rethrow_exception(exchange.exception);
  if (exchange.response.stopped)
    exchange.response.failure = "stopped";
  else if (result != CURLE_OK)
    exchange.response.failure = curl_easy_strerror(result);
  return std::move(exchange.response);
}

std::string origin_of(const std::string& text) {
  const UrlPtr url = parse_url(text);
  const std::string scheme = part_of(url, CURLUPART_SCHEME, 0);
  if (scheme != "http" && scheme != "https")
    throw Error(fmt::format("'{}' is no http or https URL", text),
                "Write it as http://host:port or https://host.");
  return fmt::format("{}://{}:{}", scheme, part_of(url, CURLUPART_HOST, 0),
                     part_of(url, CURLUPART_PORT, CURLU_DEFAULT_PORT));
}

std::string resolve_url(const std::string& base, const std::string& location) {
  const UrlPtr url = parse_url(base);
  const CURLUcode code = curl_url_set(url.get(), CURLUPART_URL, location.c_str(), 0);
  if (code != CURLUE_OK)
    throw Error(fmt::format("{} redirects to '{}', which is no URL", base, location),
                "Check HF_ENDPOINT and any proxy in between.");
  return part_of(url, CURLUPART_URL, 0);
}

std::string escape_path(std::string_view path) {
  std::string out;
  for (const char c : path) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x80 &&
        (std::isalnum(byte) != 0 || std::string_view("-._~/").find(c) != std::string_view::npos))
      out += c;
    else
      out += fmt::format("%{:02X}", byte);
  }
  return out;
}

std::string http_library_version() {
  return curl_version();
}

}  // namespace lmdeploy::client
