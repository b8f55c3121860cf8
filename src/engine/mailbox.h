#pragma once
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "engine/active_request.h"
#include "engine/engine.h"

namespace lmdeploy {

// The only place where the engine's thread and the others meet: requests and aborts go in, statistics come
// out. The queue's bounds are kept here, because here all that waits is known.
class Mailbox {
 public:
  explicit Mailbox(const EngineOptions& options) : options_(options) {}

  // Any thread. Empty when the request was taken.
  std::optional<Rejected> post(std::unique_ptr<ActiveRequest> request);
  void post_abort(RequestId id);
  void close();  // from now on post() rejects
  EngineStats stats() const;

  // What arrived since the last collect().
  struct Mail {
    std::vector<std::unique_ptr<ActiveRequest>> requests;
    std::vector<RequestId> aborts;
    bool closed = false;
  };

  // Engine's thread. Adds to `mail` what has arrived; where that is nothing, waits for the first item, for at
  // most max_wait (0: not at all).
  void collect(Mail& mail, std::chrono::milliseconds max_wait);

  // Engine's thread. num_waiting and num_waiting_tokens: of the requests that were collected.
  void publish(const EngineStats& stats, std::int64_t num_waiting_tokens);

 private:
  const EngineOptions options_;
  mutable std::mutex mutex_;
  std::condition_variable arrival_;
  Mail mail_;
  std::int64_t num_mail_tokens_ = 0;     // prompt tokens in mail_.requests
  EngineStats stats_;                    // as published; num_waiting includes what was posted since
  std::int64_t num_waiting_tokens_ = 0;  // prompt tokens that the same requests wait with
};

}  // namespace lmdeploy
