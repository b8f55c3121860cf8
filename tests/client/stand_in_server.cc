#include "client/stand_in_server.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <sstream>

#include "base/error.h"

namespace lmdeploy::client {
namespace {

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

// Reads until the head is whole, then the body that it announces.
SeenRequest read_request(int connection) {
  std::string text;
  char bytes[4096];
  std::size_t head_end;
  while ((head_end = text.find("\r\n\r\n")) == std::string::npos) {
    const ssize_t n = recv(connection, bytes, sizeof bytes, 0);
    if (n <= 0) return {};
    text.append(bytes, static_cast<std::size_t>(n));
  }
  SeenRequest request;
  std::istringstream head(text.substr(0, head_end));
  std::string line;
  std::getline(head, line);
  std::istringstream(line) >> request.method >> request.target;
  while (std::getline(head, line)) {
    const std::size_t colon = line.find(':');
    std::string value = line.substr(colon + 2);
    if (value.ends_with('\r')) value.pop_back();
    request.headers[lower(line.substr(0, colon))] = value;
  }
  request.body = text.substr(head_end + 4);
  const auto length = request.headers.find("content-length");
  const std::size_t wanted = length == request.headers.end() ? 0 : std::stoul(length->second);
  while (request.body.size() < wanted) {
    const ssize_t n = recv(connection, bytes, sizeof bytes, 0);
    if (n <= 0) break;
    request.body.append(bytes, static_cast<std::size_t>(n));
  }
  return request;
}

void send_all(int connection, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = send(connection, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n <= 0) return;
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
}

// A reset would discard what the client has not read, so that the number of bytes that arrive would vary: a
// cut closes normally, short of the announced length.
void send_reply(int connection, const SeenRequest& request, const StandInReply& reply) {
  const std::int64_t length =
      reply.announced_len >= 0 ? reply.announced_len : static_cast<std::int64_t>(reply.body.size());
  std::string head =
      fmt::format("HTTP/1.1 {} X\r\nConnection: close\r\nContent-Length: {}\r\n", reply.status, length);
  for (const std::string& header : reply.headers) head += header + "\r\n";
  send_all(connection, head + "\r\n");
  if (request.method == "HEAD") return;
  const std::string_view body = reply.body;
  send_all(connection,
           reply.cut_after >= 0 ? body.substr(0, static_cast<std::size_t>(reply.cut_after)) : body);
}

}  // namespace

StandInServer::StandInServer(Handler handler) : handler_(std::move(handler)) {
  listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  socklen_t size = sizeof address;
  CHECK(bind(listener_, generic, size) == 0 && listen(listener_, 64) == 0);
  CHECK(getsockname(listener_, generic, &size) == 0);
  port_ = ntohs(address.sin_port);
  acceptor_ = std::jthread([this] { accept_all(); });
}

StandInServer::~StandInServer() {
  stopping_ = true;
  shutdown(listener_, SHUT_RDWR);
  acceptor_.join();
  connections_.clear();
  close(listener_);
}

std::string StandInServer::url() const {
  return fmt::format("http://127.0.0.1:{}", port_);
}

std::vector<SeenRequest> StandInServer::seen() const {
  const std::lock_guard lock(mutex_);
  return seen_;
}

void StandInServer::forget() {
  const std::lock_guard lock(mutex_);
  seen_.clear();
}

void StandInServer::accept_all() {
  while (!stopping_) {
    const int connection = accept(listener_, nullptr, nullptr);
    if (connection < 0) return;
    connections_.emplace_back([this, connection] { serve(connection); });
  }
}

void StandInServer::serve(int connection) {
  const SeenRequest request = read_request(connection);
  if (!request.method.empty()) {
    {
      const std::lock_guard lock(mutex_);
      seen_.push_back(request);
    }
    send_reply(connection, request, handler_(request));
  }
  shutdown(connection, SHUT_WR);
  close(connection);
}

}  // namespace lmdeploy::client
