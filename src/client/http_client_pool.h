#pragma once
// Many exchanges at once on the calling thread, as a load generator needs them.
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>

#include "client/http_client.h"

namespace lmdeploy::client {

// One connection for each exchange that runs, kept for the next one; HTTP/1.1, since requests that share a
// connection would wait for one another. What arrives costs one system call for its share of a batch of
// descriptors and one for its bytes, however many exchanges run. Not for several threads.
class HttpClientPool {
 public:
  using Done = std::function<void(HttpResponse)>;

  explicit HttpClientPool(HttpOptions options = {});
  ~HttpClientPool();  // what runs is cut off, without a call of its Done
  HttpClientPool(const HttpClientPool&) = delete;
  HttpClientPool& operator=(const HttpClientPool&) = delete;

  // Begins an exchange. The sink and `done` are called from poll(), `done` once and last; it may start
  // others. Only a malformed URL throws (Error); everything that the network does is in the response.
  void start(HttpRequest request, BodySink sink, Done done);

  std::size_t num_running() const noexcept;

  // Does what there is to do, waiting at most max_wait for the first of it. Rethrows what a sink threw.
  void poll(std::chrono::milliseconds max_wait);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lmdeploy::client
