#include "server/raw_client.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <stdexcept>
#include <utility>

namespace lmdeploy::testing {
namespace {

constexpr int kTimeoutMs = 10'000;  // of a read that should succeed

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

bool readable(int fd, int timeout_ms) {
  pollfd waiting{fd, POLLIN, 0};
  return ::poll(&waiting, 1, timeout_ms) > 0;
}

}  // namespace

RawClient::RawClient(std::uint16_t port, int receive_buffer_bytes) : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
  if (receive_buffer_bytes > 0)
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receive_buffer_bytes, sizeof receive_buffer_bytes);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
    throw std::runtime_error("the server does not accept connections");
}

RawClient::~RawClient() {
  close();
}
RawClient::RawClient(RawClient&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), tls_(std::move(other.tls_)), input_(std::move(other.input_)) {}

bool RawClient::start_tls() {
  tls_ = std::make_unique<TlsClient>(fd_);
  return tls_->ok();
}

void RawClient::send(std::string_view bytes) {
  if (tls_ != nullptr) {
    tls_->write(bytes);
    return;
  }
  while (!bytes.empty()) {
    const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
}

void RawClient::half_close() {
  if (tls_ != nullptr)
    tls_->close_notify();
  else
    ::shutdown(fd_, SHUT_WR);
}

void RawClient::close() {
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

void RawClient::reset() {
  const linger at_once{1, 0};
  ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  close();
}

long RawClient::receive(char* buffer, std::size_t len) {
  return tls_ != nullptr ? tls_->read(buffer, static_cast<int>(len)) : ::recv(fd_, buffer, len, 0);
}

bool RawClient::fill() {
  std::array<char, 4096> buffer;
  const bool has_pending = tls_ != nullptr && tls_->has_pending();
  if (!has_pending && !readable(fd_, kTimeoutMs)) return false;
  const long received = receive(buffer.data(), buffer.size());
  if (received <= 0) return false;
  input_.append(buffer.data(), static_cast<std::size_t>(received));
  return true;
}

std::string RawClient::read_some() {
  if (input_.empty()) fill();
  return std::exchange(input_, {});
}

bool RawClient::closed_within(std::chrono::milliseconds timeout) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  std::array<char, 4096> dropped;
  while (true) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0 || !readable(fd_, static_cast<int>(left.count()))) return false;
    if (receive(dropped.data(), dropped.size()) <= 0) return true;
  }
}

HttpReply RawClient::read_reply(bool head_only) {
  HttpReply reply;
  while (input_.find("\r\n\r\n") == input_.npos)
    if (!fill()) return reply;
  const std::size_t head_len = input_.find("\r\n\r\n") + 4;
  std::string head = input_.substr(0, head_len);
  input_.erase(0, head_len);
  reply.status = std::stoi(head.substr(9, 3));
  std::size_t line = head.find("\r\n") + 2;
  while (line + 2 < head.size()) {
    const std::size_t end = head.find("\r\n", line);
    const std::size_t colon = head.find(": ", line);
    reply.headers[lower(head.substr(line, colon - line))] = head.substr(colon + 2, end - colon - 2);
    line = end + 2;
  }
  if (head_only || reply.status == 204 || reply.status == 100) {
    reply.complete = true;
  } else if (reply.headers.contains("transfer-encoding")) {
    reply.complete = read_chunked(reply);
  } else if (reply.headers.contains("content-length")) {
    const std::size_t len = std::stoul(reply.headers["content-length"]);
    while (input_.size() < len && fill()) continue;
    reply.complete = input_.size() >= len;
    reply.body = input_.substr(0, len);
    input_.erase(0, len);
  } else {
    while (fill()) continue;
    reply.body = std::exchange(input_, {});
    reply.complete = true;
  }
  return reply;
}

bool RawClient::read_chunked(HttpReply& reply) {
  while (true) {
    while (input_.find("\r\n") == input_.npos)
      if (!fill()) return false;
    std::size_t size = 0;
    std::from_chars(input_.data(), input_.data() + input_.size(), size, 16);
    const std::size_t begin = input_.find("\r\n") + 2;
    while (input_.size() < begin + size + 2)
      if (!fill()) return false;
    reply.body += input_.substr(begin, size);
    input_.erase(0, begin + size + 2);
    if (size == 0) return true;
  }
}

std::vector<std::string> HttpReply::events() const {
  std::vector<std::string> events;
  std::size_t begin = 0;
  while ((begin = body.find("data: ", begin)) != body.npos) {
    const std::size_t end = body.find("\n\n", begin);
    events.push_back(body.substr(begin + 6, end - begin - 6));
    begin = end;
  }
  return events;
}

std::string post_request(std::string_view path, std::string_view json, std::string_view more_headers) {
  return fmt::format(
      "POST {} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{}Content-Length: "
      "{}\r\n\r\n{}",
      path, more_headers, json.size(), json);
}

}  // namespace lmdeploy::testing
