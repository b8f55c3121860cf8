#pragma once
// Sockets: accepts, reads requests, writes answers. http_*.cc are the only files with Boost.Asio and Beast.
#include <chrono>
#include <cstdint>
#include <memory>

#include "server/exchange.h"
#include "server/server.h"

namespace lmdeploy {

class HttpServer {
 public:
  // Listens. Throws Error: unknown host, address in use, no permission.
  HttpServer(const ServerOptions& options, HttpHandler& handler);
  ~HttpServer();

  std::uint16_t port() const noexcept;
  void run();   // Server::run
  void stop();  // Server::stop

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lmdeploy
