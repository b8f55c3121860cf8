#pragma once
// Requests and responses as the routes see them: no socket, no HTTP library.
#include <algorithm>
#include <chrono>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace lmdeploy {

struct HttpHeader {
  std::string name;  // as sent; compared without case
  std::string value;
};

// The value of the first header of that name, nullptr if there is none.
const std::string* find_header(const std::vector<HttpHeader>& headers, std::string_view name);
bool equals_ignoring_case(std::string_view a, std::string_view b);
// Calls visit(element) for each element of a list such as `gzip;q=0.5, br`, blanks cut off.
template <typename Visit>
void for_each_element(std::string_view list, Visit&& visit) {
  while (!list.empty()) {
    std::string_view element = list.substr(0, list.find(','));
    list.remove_prefix(std::min(element.size() + 1, list.size()));
    while (element.starts_with(' ')) element.remove_prefix(1);
    while (element.ends_with(' ')) element.remove_suffix(1);
    visit(element);
  }
}

struct HttpRequest {
  std::string method;  // upper case as sent; any token
  std::string path;    // percent-decoded, without the query; begins with '/', or is "*" for OPTIONS
  std::string query;   // as sent, without '?'
  std::vector<HttpHeader> headers;
  std::string body;
  std::string remote;  // address and port of the peer
  std::string id;      // x-request-id: the client's where it is sane, else a new one
  bool keep_alive = true;
  bool http_1_0 = false;
  std::chrono::steady_clock::time_point received = {};  // when its last byte had come

  const std::string* header(std::string_view name) const { return find_header(headers, name); }
  double seconds_since_received() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - received).count();
  }
};

struct HttpResponse {
  int status = 200;
  std::vector<HttpHeader> headers;  // without Content-Length, Connection, Date and x-request-id
  std::string body;

  void set(std::string name, std::string value) { headers.push_back({std::move(name), std::move(value)}); }
};

std::string_view reason_phrase(int status);

// How the bytes after the header are delimited.
enum class BodyFraming { content_length, chunked, until_close, none };

// Status line and headers up to and with the empty line.
std::string format_head(const HttpResponse& response, const HttpRequest& request, BodyFraming framing,
                        bool keep_alive);

// One chunk of a chunked body. `data` is not empty.
std::string format_chunk(std::string_view data);
inline constexpr std::string_view kLastChunk = "0\r\n\r\n";

HttpResponse json_response(int status, std::string body);

}  // namespace lmdeploy
