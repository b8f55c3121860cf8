#pragma once
#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace lmdeploy::client {

struct SeenRequest {
  std::string method, target, body;
  std::map<std::string, std::string> headers;  // names in lower case
};

struct StandInReply {
  int status = 200;
  std::vector<std::string> headers;  // "Name: value"
  std::string body;
  std::int64_t cut_after = -1;      // bytes of the body, then the connection is reset; -1: never
  std::int64_t announced_len = -1;  // Content-Length where it is not the body's
};

// An HTTP/1.1 server on a free local port, one request a connection, each on a thread of its own.
class StandInServer {
 public:
  using Handler = std::function<StandInReply(const SeenRequest&)>;
  explicit StandInServer(Handler handler);
  ~StandInServer();

  std::string url() const;                // http://127.0.0.1:port
  std::vector<SeenRequest> seen() const;  // so far
  void forget();                          // what was seen

 private:
  void accept_all();
  void serve(int connection);

  Handler handler_;
  int listener_ = -1;
  int port_ = 0;
  std::atomic<bool> stopping_{false};
  mutable std::mutex mutex_;
  std::vector<SeenRequest> seen_;
  std::vector<std::jthread> connections_;
  std::jthread acceptor_;
};

}  // namespace lmdeploy::client
