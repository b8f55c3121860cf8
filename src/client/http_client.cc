#include "client/http_client.h"

#include <algorithm>
#include <cctype>

#include "base/error.h"
#include "client/http_client_curl.h"

namespace lmdeploy::client {
namespace {

constexpr int kPollMs = 100;
using UrlPtr = std::unique_ptr<CURLU, FreeCurl>;

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
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

// Letters and digits stay as they are too.
std::string escape_all_but(std::string_view text, std::string_view kept) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x80 && (std::isalnum(byte) != 0 || kept.find(c) != std::string_view::npos))
      out += c;
    else
      out += fmt::format("%{:02X}", byte);
  }
  return out;
}

}  // namespace

std::string HttpResponse::header(std::string_view name) const {
  for (auto it = headers.rbegin(); it != headers.rend(); ++it)
    if (equal_ignoring_case(it->first, name)) return it->second;
  return {};
}

struct HttpClient::Impl {
  HttpOptions options;
  EasyPtr easy;
  MultiPtr multi;

  CURLcode perform(CurlExchange& exchange, const std::function<bool()>& should_stop);
};

HttpClient::HttpClient(HttpOptions options) : impl_(std::make_unique<Impl>()) {
  initialize_curl();
  impl_->options = std::move(options);
  impl_->easy.reset(curl_easy_init());
  impl_->multi.reset(curl_multi_init());
  CHECK(impl_->easy && impl_->multi);
}

HttpClient::~HttpClient() = default;

CURLcode HttpClient::Impl::perform(CurlExchange& exchange, const std::function<bool()>& should_stop) {
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
  CurlExchange exchange{{}, &sink, nullptr};
  const ListPtr headers = set_up_exchange(impl_->easy.get(), impl_->options, request, exchange);
  const CURLcode result = impl_->perform(exchange, should_stop);
  return finish_exchange(exchange, result);
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
  return escape_all_but(path, "-._~/");
}

std::string escape_name(std::string_view name) {
  return escape_all_but(name, "-._~");
}

std::string http_library_version() {
  return curl_version();
}

}  // namespace lmdeploy::client
