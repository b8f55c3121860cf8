#include "proxy/upstream.h"

#include "base/log.h"
#include "proxy/forward.h"
#include "server/api_error.h"
#include "server/openai_answer.h"

namespace lmdeploy {
namespace {

constexpr std::size_t kMaxThreads = 256;
constexpr std::size_t kMaxWholeBytes = 64 << 20;  // of an answer that is not a stream

// Passes one answer on. Runs on the upstream's thread; what it does to the exchange happens on the strand.
class Passage {
 public:
  Passage(std::shared_ptr<Exchange> exchange, const std::string& url)
      : exchange_(std::move(exchange)), url_(url) {}

  void run(client::HttpClient& client, const std::atomic<bool>& ending) {
    const client::HttpResponse response = client.send(
        forwarded_request(exchange_->request(), url_),
        [this](const client::HttpResponse& head, std::string_view data) { return take(head, data); },
        [&] { return exchange_->is_gone() || ending; });
    if (!response.failure.empty())
      fail(response);
    else if (streams_)
      exchange_->post([exchange = exchange_] { exchange->finish(); });
    else
      reply_whole(response);
  }

 private:
  // The exchange cuts off a reader who is a megabyte behind. That is right for streams; an answer whose
  // length is known is sent when it is there.
  bool take(const client::HttpResponse& head, std::string_view data) {
    if (!streams_ && head.header("Content-Length").empty()) {
      streams_ = true;
      exchange_->post(
          [exchange = exchange_, response = forwarded_head(head)] { exchange->start_stream(response); });
    }
    if (streams_)
      exchange_->post([exchange = exchange_, piece = std::string(data)] { exchange->send(piece); });
    else
      whole_ += data;
    return whole_.size() <= kMaxWholeBytes;
  }

  void reply_whole(const client::HttpResponse& response) {
    HttpResponse reply = forwarded_head(response);
    reply.body = std::move(whole_);
    exchange_->reply(std::move(reply));
  }

  void fail(const client::HttpResponse& response) {
    if (exchange_->is_gone()) return;
    log::warn("{}: {} {}: {}", exchange_->request().id, url_, exchange_->request().path, response.failure);
    const ApiError error(
        502, fmt::format("the server at {} does not answer: {}", url_,
                         whole_.size() > kMaxWholeBytes ? "its answer is too long" : response.failure));
    if (!streams_)
      exchange_->reply(error.response_to(exchange_->request()));
    else if (response.header("Content-Type").starts_with("text/event-stream"))
      exchange_->post([exchange = exchange_, event = sse_event(error.body())] {
        exchange->send(event);
        exchange->finish();
      });
    else  // the client sees that the end is missing
      exchange_->post([problem = response.failure] { throw Error(problem); });
  }

  std::shared_ptr<Exchange> exchange_;
  const std::string& url_;
  std::string whole_;
  bool streams_ = false;
};

}  // namespace

Upstream::~Upstream() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void Upstream::forward(std::shared_ptr<Exchange> exchange) {
  const std::lock_guard lock(mutex_);
  if (queue_.size() >= num_idle_ && threads_.size() >= kMaxThreads) {
    exchange->reply(ApiError(503, "too many requests pass through this proxy, try again later")
                        .response_to(exchange->request()));
    return;
  }
  queue_.push_back(std::move(exchange));
  if (queue_.size() > num_idle_)
    threads_.emplace_back([this] { work(); });
  else
    changed_.notify_one();
}

void Upstream::work() {
  client::HttpOptions options;
  options.stall_timeout =
      std::chrono::milliseconds(0);  // a long prompt is silent; a client that leaves ends it
  client::HttpClient client(options);
  std::unique_lock lock(mutex_);
  while (!ending_) {
    if (queue_.empty()) {
      ++num_idle_;
      changed_.wait(lock, [this] { return ending_ || !queue_.empty(); });
      --num_idle_;
      continue;
    }
    const std::shared_ptr<Exchange> exchange = std::move(queue_.front());
    queue_.pop_front();
    lock.unlock();
    try {
      Passage(exchange, url_).run(client, ending_);
    } catch (const std::exception& e) {
      exchange->reply(ApiError(502, e.what()).response_to(exchange->request()));
    }
    lock.lock();
  }
}

}  // namespace lmdeploy
