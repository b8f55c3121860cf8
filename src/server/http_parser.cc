#include "server/http_parser.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

namespace lmdeploy {
namespace http = boost::beast::http;

// Chunk sizes and trailers that are not complete yet; a longer run of such bytes is no honest client's.
constexpr std::size_t kMaxChunkHeaderBytes = 16 << 10;
// "0", CR LF, CR LF: the least that a last chunk has.
constexpr std::size_t kMinLastChunkBytes = 5;

struct HttpParser::Impl {
  http::request_parser<http::string_body> parser;
  std::size_t num_scanned = 0;       // bytes of the header that header_bytes_are_clean has seen
  std::size_t num_header_bytes = 0;  // used so far: the library limits only what it has not parsed yet
};

HttpParser::HttpParser(const HttpLimits& limits) : impl_(std::make_unique<Impl>()), limits_(limits) {
  impl_->parser.header_limit(static_cast<std::uint32_t>(limits.max_header_bytes));
  impl_->parser.body_limit(limits.max_body_bytes);
  impl_->parser.eager(false);
}

HttpParser::~HttpParser() = default;

HttpParser::Progress HttpParser::fail(int status, std::string message) {
  error_ = HttpParseError{status, std::move(message)};
  return Progress::failed;
}

// Of the header's bytes: every LF follows a CR, and no line begins with white space (obs-fold).
bool HttpParser::header_bytes_are_clean(std::string_view input) {
  const std::size_t end = std::min(input.find("\r\n\r\n"), input.size());
  for (std::size_t i = impl_->num_scanned; i < end; ++i) {
    if (input[i] == '\n' && (i == 0 || input[i - 1] != '\r')) return false;
    if ((input[i] == ' ' || input[i] == '\t') && i > 0 && input[i - 1] == '\n') return false;
  }
  impl_->num_scanned = end;
  return true;
}

namespace {

HttpParseError describe(const boost::beast::error_code& ec, const HttpLimits& limits) {
  if (ec == http::error::header_limit)
    return {431, fmt::format("the request header is longer than {} bytes", limits.max_header_bytes)};
  if (ec == http::error::body_limit)
    return {413, fmt::format("the request body is longer than {} bytes", limits.max_body_bytes)};
  if (ec == http::error::bad_version) return {505, "expected HTTP/1.0 or HTTP/1.1"};
  return {400, fmt::format("malformed HTTP request: {}", ec.message())};
}

}  // namespace

HttpParser::Progress HttpParser::advance(std::string& input) {
  auto& parser = impl_->parser;
  // Empty lines before a request line are allowed (RFC 9112, section 2.2).
  while (!started_ && input.starts_with("\r\n")) input.erase(0, 2);
  if (input.empty() && !parser.is_done()) return Progress::need_more;
  started_ = true;
  if (!header_done_ && !header_bytes_are_clean(input))
    return fail(400, "malformed HTTP request: a header line ends without CR LF or is folded");

  while (!parser.is_done()) {
    // Beast 1.81 asserts that the second part of a last chunk brings it to this length.
    if (header_done_ && parser.chunked() && input.starts_with('0') && input.size() < kMinLastChunkBytes)
      return Progress::need_more;
    boost::beast::error_code ec;
    const std::size_t num_used = parser.put(boost::asio::buffer(input), ec);
    input.erase(0, num_used);
    impl_->num_scanned -= std::min(num_used, impl_->num_scanned);
    if (!header_done_) impl_->num_header_bytes += num_used;
    const bool header_too_long =
        !header_done_ && impl_->num_header_bytes + (ec ? input.size() : 0) > limits_.max_header_bytes;
    if (header_too_long) ec = http::error::header_limit;
    if (ec == http::error::need_more) {
      if (!header_done_ || input.size() <= kMaxChunkHeaderBytes) return Progress::need_more;
      return fail(400, "malformed HTTP request: chunk header too long");
    }
    if (ec) {
      error_ = describe(ec, limits_);
      name_request();
      return Progress::failed;
    }
    if (!header_done_ && parser.is_header_done()) return finish_header();
    if (input.empty() && !parser.is_done()) return Progress::need_more;
  }
  request_.body = std::move(parser.get().body());
  return Progress::done;
}

// As far as it is known: the log says what was refused.
void HttpParser::name_request() {
  if (header_done_) return;
  const auto& message = impl_->parser.get();
  request_.method = std::string(message.method_string());
  parse_target(std::string_view(message.target().data(), message.target().size()), request_);
}

HttpParser::Progress HttpParser::finish_header() {
  header_done_ = true;
  const auto& message = impl_->parser.get();
  request_.method = std::string(message.method_string());
  request_.http_1_0 = message.version() < 11;
  request_.keep_alive = impl_->parser.keep_alive();
  std::size_t num_hosts = 0, num_lengths = 0, num_encodings = 0;
  for (const auto& field : message) {
    num_hosts += field.name() == http::field::host;
    num_lengths += field.name() == http::field::content_length;
    num_encodings += field.name() == http::field::transfer_encoding;
    request_.headers.push_back({std::string(field.name_string()), std::string(field.value())});
  }
  if (!parse_target(std::string_view(message.target().data(), message.target().size()), request_))
    return fail(400, "malformed request target");
  const std::string* host = request_.header("Host");
  if (num_hosts > 1 || (host != nullptr && !is_valid_host(*host)) || (host == nullptr && !request_.http_1_0))
    return fail(400, "expected exactly one valid Host header");
  if (num_lengths > 1 || (num_lengths > 0 && num_encodings > 0))
    return fail(400, "expected one Content-Length, or Transfer-Encoding: chunked, not both");
  if (num_encodings > 0 &&
      (num_encodings > 1 || !equals_ignoring_case(*request_.header("Transfer-Encoding"), "chunked")))
    return fail(501, "no transfer encoding but chunked is supported");
  if (const std::string* expect = request_.header("Expect");
      expect != nullptr && !equals_ignoring_case(*expect, "100-continue"))
    return fail(417, "no expectation but 100-continue is supported");
  impl_->parser.eager(true);
  return Progress::header_done;
}

bool HttpParser::has_body() const {
  return !impl_->parser.is_done();
}

bool HttpParser::expects_continue() const {
  return request_.header("Expect") != nullptr && !request_.http_1_0 && has_body();
}

}  // namespace lmdeploy
