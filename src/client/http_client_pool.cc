#include "client/http_client_pool.h"

#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/error.h"
#include "client/http_client_curl.h"

namespace lmdeploy::client {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

struct Transfer {
  EasyPtr easy;
  HttpRequest request;
  BodySink sink;
  HttpClientPool::Done done;
  CurlExchange exchange;
  ListPtr headers;
};

std::uint32_t epoll_events(int curl_what) {
  std::uint32_t events = 0;
  if (curl_what == CURL_POLL_IN || curl_what == CURL_POLL_INOUT) events |= EPOLLIN;
  if (curl_what == CURL_POLL_OUT || curl_what == CURL_POLL_INOUT) events |= EPOLLOUT;
  return events;
}

int curl_events(std::uint32_t epoll_events) {
  int events = 0;
  if ((epoll_events & EPOLLIN) != 0) events |= CURL_CSELECT_IN;
  if ((epoll_events & EPOLLOUT) != 0) events |= CURL_CSELECT_OUT;
  if ((epoll_events & (EPOLLERR | EPOLLHUP)) != 0) events |= CURL_CSELECT_ERR;
  return events;
}

}  // namespace

// curl_multi_perform() would look at every handle in every call; told which sockets are ready, libcurl looks
// at those only.
struct HttpClientPool::Impl {
  HttpOptions options;
  int epoll_fd;
  MultiPtr multi;
  std::unordered_map<CURL*, std::unique_ptr<Transfer>> running;
  std::vector<EasyPtr> spare;
  std::optional<Clock::time_point> timer;  // when libcurl wants to be called without a socket's event

  explicit Impl(HttpOptions wanted);
  ~Impl();

  static int on_socket(CURL* easy, curl_socket_t socket, int what, void* user, void* known);
  static int on_timer(CURLM* multi, long timeout_ms, void* user);

  int wait_ms(milliseconds max_wait) const;
  void act(curl_socket_t socket, int events);
  void finish_completed();
};

HttpClientPool::Impl::Impl(HttpOptions wanted)
    : options(std::move(wanted)), epoll_fd(epoll_create1(EPOLL_CLOEXEC)) {
  if (epoll_fd < 0) throw Error("cannot watch connections", "Raise the limit of open files: ulimit -n.");
  initialize_curl();
  multi.reset(curl_multi_init());
  CHECK(multi != nullptr);
  curl_multi_setopt(multi.get(), CURLMOPT_SOCKETFUNCTION, on_socket);
  curl_multi_setopt(multi.get(), CURLMOPT_SOCKETDATA, this);
  curl_multi_setopt(multi.get(), CURLMOPT_TIMERFUNCTION, on_timer);
  curl_multi_setopt(multi.get(), CURLMOPT_TIMERDATA, this);
}

HttpClientPool::Impl::~Impl() {
  for (auto& [easy, transfer] : running) curl_multi_remove_handle(multi.get(), easy);
  running.clear();
  multi.reset();  // closes its sockets, each with a last call of on_socket
  close(epoll_fd);
}

int HttpClientPool::Impl::on_socket(CURL*, curl_socket_t socket, int what, void* user, void* known) {
  auto& impl = *static_cast<Impl*>(user);
  epoll_event event{.events = epoll_events(what), .data = {.fd = socket}};
  if (what == CURL_POLL_REMOVE) {
    epoll_ctl(impl.epoll_fd, EPOLL_CTL_DEL, socket, &event);
    return 0;
  }
  epoll_ctl(impl.epoll_fd, known == nullptr ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, socket, &event);
  curl_multi_assign(impl.multi.get(), socket, &impl);  // comes back as `known`
  return 0;
}

int HttpClientPool::Impl::on_timer(CURLM*, long timeout_ms, void* user) {
  auto& timer = static_cast<Impl*>(user)->timer;
  timer.reset();
  if (timeout_ms >= 0) timer = Clock::now() + milliseconds(timeout_ms);
  return 0;
}

int HttpClientPool::Impl::wait_ms(milliseconds max_wait) const {
  if (timer) {
    const auto left = std::chrono::ceil<milliseconds>(*timer - Clock::now());
    max_wait = std::clamp(left, milliseconds(0), max_wait);
  }
  return static_cast<int>(max_wait.count());
}

void HttpClientPool::Impl::act(curl_socket_t socket, int events) {
  int num_running = 0;
  const CURLMcode code = curl_multi_socket_action(multi.get(), socket, events, &num_running);
  CHECK(code == CURLM_OK, "libcurl: {}", curl_multi_strerror(code));
}

void HttpClientPool::Impl::finish_completed() {
  int num_left = 0;
  while (const CURLMsg* message = curl_multi_info_read(multi.get(), &num_left)) {
    if (message->msg != CURLMSG_DONE) continue;
    const CURLcode result = message->data.result;
    const auto entry = running.find(message->easy_handle);
    CHECK(entry != running.end());
    const std::unique_ptr<Transfer> transfer = std::move(entry->second);
    running.erase(entry);
    curl_multi_remove_handle(multi.get(), transfer->easy.get());
    curl_easy_reset(transfer->easy.get());
    spare.push_back(std::move(transfer->easy));
    transfer->done(finish_exchange(transfer->exchange, result));
  }
}

HttpClientPool::HttpClientPool(HttpOptions options) : impl_(std::make_unique<Impl>(std::move(options))) {}

HttpClientPool::~HttpClientPool() = default;

void HttpClientPool::start(HttpRequest request, BodySink sink, Done done) {
  auto transfer = std::make_unique<Transfer>();
  if (impl_->spare.empty()) {
    transfer->easy.reset(curl_easy_init());
  } else {
    transfer->easy = std::move(impl_->spare.back());
    impl_->spare.pop_back();
  }
  CURL* easy = transfer->easy.get();
  CHECK(easy != nullptr);
  transfer->request = std::move(request);
  transfer->sink = std::move(sink);
  transfer->done = std::move(done);
  transfer->exchange.sink = &transfer->sink;
  transfer->headers = set_up_exchange(easy, impl_->options, transfer->request, transfer->exchange);
  curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  impl_->running.emplace(easy, std::move(transfer));
  curl_multi_add_handle(impl_->multi.get(), easy);
}

std::size_t HttpClientPool::num_running() const noexcept {
  return impl_->running.size();
}

void HttpClientPool::poll(milliseconds max_wait) {
  std::array<epoll_event, 256> events;
  const int num_events =
      epoll_wait(impl_->epoll_fd, events.data(), static_cast<int>(events.size()), impl_->wait_ms(max_wait));
  for (int i = 0; i < num_events; ++i) {
    const auto& event = events[static_cast<std::size_t>(i)];
    impl_->act(event.data.fd, curl_events(event.events));
  }
  if (impl_->timer && Clock::now() >= *impl_->timer) {
    impl_->timer.reset();
    impl_->act(CURL_SOCKET_TIMEOUT, 0);
  }
  impl_->finish_completed();
}

}  // namespace lmdeploy::client
