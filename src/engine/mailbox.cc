#include "engine/mailbox.h"

#include <fmt/format.h>

#include <iterator>
#include <utility>

namespace lmdeploy {

std::optional<Rejected> Mailbox::post(std::unique_ptr<ActiveRequest> request) {
  const std::int64_t num_tokens = request->sequence.len();
  {
    const std::lock_guard lock(mutex_);
    if (mail_.closed) return Rejected{Rejected::Reason::shutting_down, "the engine is shutting down"};
    const std::int64_t num_requests = std::int64_t{stats_.num_running} + stats_.num_waiting;
    if (num_requests >= std::int64_t{options_.max_batch_size} + options_.max_queue_len)
      return Rejected{Rejected::Reason::queue_full,
                      fmt::format("{} requests run or wait, and no more than {} may wait", num_requests,
                                  options_.max_queue_len)};
    if (stats_.num_waiting > 0 && num_waiting_tokens_ + num_tokens > options_.max_queue_tokens)
      return Rejected{Rejected::Reason::queue_full,
                      fmt::format("requests with {} prompt tokens wait, and no more than {} may wait",
                                  num_waiting_tokens_, options_.max_queue_tokens)};
    mail_.requests.push_back(std::move(request));
    num_mail_tokens_ += num_tokens;
    stats_.num_waiting++;
    num_waiting_tokens_ += num_tokens;
  }
  arrival_.notify_one();
  return std::nullopt;
}

void Mailbox::post_abort(RequestId id) {
  {
    const std::lock_guard lock(mutex_);
    mail_.aborts.push_back(id);
  }
  arrival_.notify_one();
}

void Mailbox::close() {
  {
    const std::lock_guard lock(mutex_);
    mail_.closed = true;
  }
  arrival_.notify_one();
}

EngineStats Mailbox::stats() const {
  const std::lock_guard lock(mutex_);
  return stats_;
}

void Mailbox::collect(Mail& mail, std::chrono::milliseconds max_wait) {
  std::unique_lock lock(mutex_);
  if (max_wait.count() > 0)
    arrival_.wait_for(lock, max_wait,
                      [&] { return mail_.closed || !mail_.requests.empty() || !mail_.aborts.empty(); });
  mail.requests.insert(mail.requests.end(), std::move_iterator(mail_.requests.begin()),
                       std::move_iterator(mail_.requests.end()));
  mail.aborts.insert(mail.aborts.end(), mail_.aborts.begin(), mail_.aborts.end());
  mail.closed = mail_.closed;
  mail_.requests.clear();
  mail_.aborts.clear();
  num_mail_tokens_ = 0;
}

void Mailbox::publish(const EngineStats& stats, std::int64_t num_waiting_tokens) {
  const std::lock_guard lock(mutex_);
  stats_ = stats;
  stats_.num_waiting += static_cast<std::int32_t>(mail_.requests.size());
  num_waiting_tokens_ = num_waiting_tokens + num_mail_tokens_;
}

}  // namespace lmdeploy
