#pragma once
#include <atomic>
#include <cstdint>
#include <memory>

namespace lmdeploy {

// Bounds the requests that are answered at once (--max-concurrent-requests); what waits in the engine is
// bounded there. Safe from any thread; outlives its tickets.
class Admission {
 public:
  explicit Admission(std::int32_t max_requests) : max_requests_(max_requests) {}  // 0: no bound

  // Held by a request as long as it is worked on.
  class Ticket {
   public:
    explicit Ticket(std::atomic<std::int32_t>& num_requests) : num_requests_(num_requests) {}
    ~Ticket() { --num_requests_; }
    Ticket(const Ticket&) = delete;
    Ticket& operator=(const Ticket&) = delete;

   private:
    std::atomic<std::int32_t>& num_requests_;
  };

  // Null where the server is full.
  std::unique_ptr<Ticket> try_admit() {
    auto ticket = std::make_unique<Ticket>(num_requests_);
    const bool full = ++num_requests_ > max_requests_ && max_requests_ > 0;
    if (full) ticket.reset();
    return ticket;
  }

 private:
  const std::int32_t max_requests_;
  std::atomic<std::int32_t> num_requests_{0};
};

}  // namespace lmdeploy
