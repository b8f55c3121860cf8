#pragma once
// A client that can misbehave: plain sockets, every byte under the test's control.
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "server/tls_client.h"

namespace lmdeploy::testing {

struct HttpReply {
  int status = 0;                              // 0: the connection closed before a whole head came
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;                            // chunks joined
  bool complete = false;                       // the body ended as its framing says

  // The `data:` of each server-sent event, in order.
  std::vector<std::string> events() const;
};

class RawClient {
 public:
  explicit RawClient(std::uint16_t port, int receive_buffer_bytes = 0);
  ~RawClient();
  RawClient(RawClient&& other) noexcept;
  RawClient& operator=(RawClient&&) = delete;

  bool start_tls();  // everything from now on goes through TLS; false: the handshake failed

  void send(std::string_view bytes);  // what the peer does not take any more is dropped
  void half_close();                  // with TLS: close_notify, and the socket stays open
  void close();
  void reset();  // RST instead of FIN

  HttpReply read_reply(bool head_only = false);
  std::string read_some();                                // "" at the end or after the timeout
  bool closed_within(std::chrono::milliseconds timeout);  // drops what comes until then

 private:
  bool fill();  // input_ grows; false at the end or after the timeout
  bool read_chunked(HttpReply& reply);

  long receive(char* buffer, std::size_t len);

  int fd_ = -1;
  std::unique_ptr<TlsClient> tls_;
  std::string input_;
};

// A POST with the usual headers.
std::string post_request(std::string_view path, std::string_view json, std::string_view more_headers = "");

}  // namespace lmdeploy::testing
