#pragma once
// Bytes in, one request out; knows no socket. Stricter than the library beneath it where leniency has been
// used to smuggle requests: bare LF, folded header lines, two lengths, a length with a transfer encoding.
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "server/http_message.h"

namespace lmdeploy {

struct HttpLimits {
  std::size_t max_header_bytes = 16 << 10;
  std::size_t max_body_bytes = 4 << 20;
};

// Why the bytes are no request. The connection is closed after the answer, as its framing is lost.
struct HttpParseError {
  int status;
  std::string message;
};

class HttpParser {
 public:
  explicit HttpParser(const HttpLimits& limits);
  ~HttpParser();

  enum class Progress { need_more, header_done, done, failed };

  // Reads from the front of `input` and removes what it has used. Stops once at the end of the header, so
  // that a caller can refuse a request before its body is sent.
  Progress advance(std::string& input);

  bool started() const noexcept { return started_; }  // a byte of this request has come
  // After header_done.
  bool has_body() const;          // there is more of it to read
  bool expects_continue() const;  // the client waits for a 100
  const HttpParseError& error() const { return *error_; }

  // The request's head, after header_done; the body is in it after done. Headers of a chunked body's trailer
  // are dropped: nothing that was decided on the head may change afterwards.
  HttpRequest& request() { return request_; }

 private:
  Progress fail(int status, std::string message);
  Progress finish_header();
  void name_request();
  bool header_bytes_are_clean(std::string_view input);

  struct Impl;
  std::unique_ptr<Impl> impl_;
  HttpLimits limits_;
  HttpRequest request_;
  std::optional<HttpParseError> error_;
  bool started_ = false;
  bool header_done_ = false;
};

// Splits a request target (origin form, absolute form or "*") into path and query; the path is
// percent-decoded once, and dot segments and doubled slashes stay as they are, so such a path equals no
// route. False where the target is malformed.
bool parse_target(std::string_view target, HttpRequest& request);

// host[:port] as RFC 3986 spells it.
bool is_valid_host(std::string_view host);

}  // namespace lmdeploy
