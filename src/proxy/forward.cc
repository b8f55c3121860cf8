#include "proxy/forward.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace lmdeploy {
namespace {

// Of one connection (RFC 9110, 7.6.1), or written anew by those who send the message on.
constexpr std::array<std::string_view, 14> kOfConnection{"connection",
                                                         "keep-alive",
                                                         "proxy-connection",
                                                         "proxy-authenticate",
                                                         "proxy-authorization",
                                                         "te",
                                                         "trailer",
                                                         "upgrade",
                                                         "transfer-encoding",
                                                         "content-length",
                                                         "host",
                                                         "expect",
                                                         "date",
                                                         "x-request-id"};

bool is_of_connection(std::string_view name) {
  return std::any_of(kOfConnection.begin(), kOfConnection.end(),
                     [&](std::string_view other) { return equals_ignoring_case(name, other); });
}

// Whether the header Connection names this one.
bool is_named(const std::string* connection, std::string_view name) {
  bool found = false;
  if (connection != nullptr)
    for_each_element(*connection,
                     [&](std::string_view element) { found = found || equals_ignoring_case(element, name); });
  return found;
}

std::string address_of(const std::string& remote) {
  return remote.substr(0, remote.rfind(':'));
}

}  // namespace

client::HttpRequest forwarded_request(const HttpRequest& request, const std::string& upstream) {
  client::HttpRequest forwarded;
  forwarded.method = request.method;
  forwarded.url = upstream + client::escape_path(request.path);
  if (!request.query.empty()) forwarded.url += "?" + request.query;
  forwarded.body = request.body;
  const std::string* connection = request.header("Connection");
  for (const auto& [name, value] : request.headers) {
    if (is_of_connection(name) || is_named(connection, name)) continue;
    // libcurl takes "Name;" for a header without a value, and "Name:" for one that it leaves out.
    forwarded.headers.push_back(value.empty() ? name + ";" : fmt::format("{}: {}", name, value));
  }
  forwarded.headers.push_back("x-request-id: " + request.id);
  forwarded.headers.push_back("X-Forwarded-For: " + address_of(request.remote));
  for (const char* name : {"Accept", "Content-Type", "Expect"})  // which libcurl would add
    if (request.header(name) == nullptr || equals_ignoring_case(name, "Expect"))
      forwarded.headers.push_back(fmt::format("{}:", name));
  return forwarded;
}

HttpResponse forwarded_head(const client::HttpResponse& response) {
  HttpResponse head{.status = response.status, .headers = {}, .body = {}};
  const std::string connection = response.header("Connection");
  for (const auto& [name, value] : response.headers)
    if (!is_of_connection(name) && !is_named(&connection, name)) head.set(name, value);
  return head;
}

}  // namespace lmdeploy
