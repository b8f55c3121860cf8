#pragma once
// The HTTP server: OpenAI's API in front of one model.
//
//   Server server(options, model);   // listens; throws Error where the address cannot be had
//   server.run();                    // serves until SIGTERM, SIGINT or stop(), then drains and returns
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "server/served_model.h"

namespace lmdeploy {

// Named as the options of `lmdeploy serve api_server`.
struct ServerOptions {
  std::string server_name = "0.0.0.0";  // an address or a host name of this machine
  std::uint16_t server_port = 23333;    // 0: any free port, see Server::port()

  // CORS.
  std::vector<std::string> allow_origins = {"*"};
  std::vector<std::string> allow_methods = {"*"};
  std::vector<std::string> allow_headers = {"*"};
  bool allow_credentials = false;

  std::vector<std::string> api_keys;         // empty: no key is asked for
  std::int32_t max_concurrent_requests = 0;  // answers at once, more get 429; 0: the engine's queue decides
  bool log_requests = true;                  // one line per request, at level info

  int num_io_threads = 2;
  std::int32_t max_connections = 1024;  // more are told 503 and closed
  std::size_t max_header_bytes = 16 << 10;
  std::size_t max_body_bytes = 4 << 20;
  std::size_t max_unsent_bytes = 1 << 20;            // of one answer; a reader further behind is cut off
  std::chrono::milliseconds header_timeout{10'000};  // from a request's first byte to the end of its header
  std::chrono::milliseconds body_timeout{60'000};
  std::chrono::milliseconds idle_timeout{75'000};   // between two requests of a connection
  std::chrono::milliseconds write_timeout{30'000};  // of one write that the client does not take
  std::chrono::milliseconds drain_timeout{30'000};  // for answers that run when the server is told to stop

  bool handle_signals = true;  // SIGTERM and SIGINT stop the server, a second one at once
};

class Server {
 public:
  // Binds and listens. Throws Error: unknown host, address in use, no permission.
  Server(ServerOptions options, const ServedModel& model);
  ~Server();  // run() must have returned, or never been called
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  std::uint16_t port() const noexcept;

  // Serves on the calling thread and num_io_threads - 1 others. Once told to stop it accepts nothing more,
  // lets running answers end within drain_timeout, aborts the rest and returns.
  void run();

  // From any thread, before or during run(). The second call aborts what still runs.
  void stop();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lmdeploy
