#pragma once
// Sends exchanges on to another server.
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "server/exchange.h"

namespace lmdeploy {

class Upstream {
 public:
  // As in forwarded_request().
  explicit Upstream(std::string url) : url_(std::move(url)) {}
  ~Upstream();  // cuts off what runs
  Upstream(const Upstream&) = delete;
  Upstream& operator=(const Upstream&) = delete;

  // From any thread. Answers with what the upstream answers, piece by piece where that is a stream; 502 where
  // it does not answer, 503 where too many requests run already. A client that leaves ends the upstream's
  // answer.
  void forward(std::shared_ptr<Exchange> exchange);

 private:
  void work();  // each thread keeps a connection of its own

  const std::string url_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::shared_ptr<Exchange>> queue_;
  std::vector<std::thread> threads_;
  std::size_t num_idle_ = 0;
  std::atomic<bool> ending_ = false;
};

}  // namespace lmdeploy
