#pragma once
// The HTTP server: OpenAI's API in front of one model.
//
//   Server server(options);   // listens, and says 503 until the model is there
//   server.serve(model);      // from now on requests are answered
//   server.run();             // until SIGTERM, SIGINT or stop(), then drains and returns
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "server/request_limits.h"
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

  // TLS with these PEM files; both empty: plain HTTP.
  std::string ssl_keyfile;
  std::string ssl_certfile;

  std::vector<std::string> api_keys;         // empty: no key is asked for
  std::int32_t max_concurrent_requests = 0;  // answers at once, more get 429; 0: the engine's queue decides
  RequestLimits limits;                      // but for its vocab_size, which is the model's
  std::chrono::milliseconds request_timeout{0};  // of an answer from its start on; 0: none

  // Sessions of /v1/chat/interactive.
  std::int32_t max_sessions = 4096;
  std::chrono::seconds session_timeout{600};  // without a request

  Pooling embedding_pooling = Pooling::last;  // where a request says nothing

  std::int32_t max_stored_responses = 4096;  // of /v1/responses, to be read and gone on with

  bool disable_fastapi_docs = false;  // no page at / and no /openapi.json
  bool disable_metrics = false;       // no /metrics, and nothing is counted
  bool disable_page = false;          // no chat page at /chat
  bool page_at_root = false;          // the chat page is at / too, where else the documentation is

  bool log_requests = true;      // one line per request, at level info
  std::int32_t max_log_len = 0;  // characters of a prompt in the log, at level info; 0: none

  int num_io_threads = 2;
  std::int32_t max_connections = 4096;  // more are told 503 and closed
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
  // Binds, listens and answers on num_io_threads threads of its own: 503 until serve(). Throws Error: unknown
  // host, address in use, no permission, no use of the TLS files.
  explicit Server(ServerOptions options);
  ~Server();  // stops at once where run() has not returned
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  std::uint16_t port() const noexcept;

  // The model is there; what it borrows outlives run(). SIGTERM and SIGINT stop the server from now on.
  void serve(const ServedModel& model);

  // Waits. Once told to stop the server refuses new requests (503), lets running answers end within
  // drain_timeout, aborts the rest; then this returns.
  void run();

  // From any thread. The second call aborts what still runs.
  void stop();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lmdeploy
