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
  // Listens. Throws Error: unknown host, address in use, no permission, no use of the TLS files.
  HttpServer(const ServerOptions& options, HttpHandler& handler);
  ~HttpServer();  // stops at once

  std::uint16_t port() const noexcept;
  void start();           // threads of its own begin to serve
  void handle_signals();  // SIGTERM and SIGINT are stop() from now on
  void run();             // returns once told to stop and drained
  void stop();            // Server::stop

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lmdeploy
