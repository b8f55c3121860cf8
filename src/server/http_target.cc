#include <cctype>
#include <optional>

#include "server/http_parser.h"

namespace lmdeploy {
namespace {

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// Empty where an escape is cut short, is no hex, or stands for a control character.
std::optional<std::string> percent_decode(std::string_view text) {
  std::string decoded;
  for (std::size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '%') {
      if (i + 2 >= text.size()) return std::nullopt;
      const int high = hex_digit(text[i + 1]);
      const int low = hex_digit(text[i + 2]);
      if (high < 0 || low < 0) return std::nullopt;
      c = static_cast<char>(high * 16 + low);
      i += 2;
    }
    if (std::iscntrl(static_cast<unsigned char>(c)) != 0) return std::nullopt;
    decoded += c;
  }
  return decoded;
}

bool starts_with_scheme(std::string_view target) {
  return equals_ignoring_case(target.substr(0, 7), "http://") ||
         equals_ignoring_case(target.substr(0, 8), "https://");
}

}  // namespace

bool parse_target(std::string_view target, HttpRequest& request) {
  if (starts_with_scheme(target)) {
    target.remove_prefix(target.find("//") + 2);
    const std::size_t authority_len = std::min(target.find_first_of("/?"), target.size());
    if (!is_valid_host(target.substr(0, authority_len))) return false;
    target.remove_prefix(authority_len);
    if (target.empty() || target.front() == '?') {
      request.path = "/";
      request.query = target.empty() ? "" : target.substr(1);
      return true;
    }
  }
  if (target == "*") {
    request.path = "*";
    return request.method == "OPTIONS";
  }
  if (target.empty() || target.front() != '/' || target.find('#') != target.npos) return false;
  const std::size_t path_len = std::min(target.find('?'), target.size());
  const auto path = percent_decode(target.substr(0, path_len));
  if (!path) return false;
  request.path = *path;
  request.query = path_len < target.size() ? target.substr(path_len + 1) : "";
  return true;
}

bool is_valid_host(std::string_view host) {
  std::string_view port;
  if (!host.empty() && host.front() == '[') {
    const std::size_t end = host.find(']');
    if (end == host.npos || end < 3) return false;
    for (char c : host.substr(1, end - 1))
      if (hex_digit(c) < 0 && c != ':' && c != '.') return false;
    port = host.substr(end + 1);
  } else {
    const std::size_t name_len = std::min(host.find(':'), host.size());
    if (name_len == 0) return false;
    for (char c : host.substr(0, name_len))
      if (std::isalnum(static_cast<unsigned char>(c)) == 0 &&
          std::string_view("-._~%!$&'()*+,;=").find(c) == std::string_view::npos)
        return false;
    port = host.substr(name_len);
  }
  if (port.empty()) return true;
  if (port.front() != ':' || port.size() > 6) return false;
  for (char c : port.substr(1))
    if (std::isdigit(static_cast<unsigned char>(c)) == 0) return false;
  return true;
}

}  // namespace lmdeploy
