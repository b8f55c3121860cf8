#include "server/http_connection.h"

#include <fmt/format.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/log.h"
#include "server/request_id.h"

namespace lmdeploy {
namespace asio = boost::asio;
using boost::system::error_code;

namespace {

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);
// After the last answer what the client still sends is read and dropped for a while: closing at once would
// reset the connection and could take the answer away from the client before it has read it.
constexpr std::chrono::milliseconds kLingerTimeout{2'000};
constexpr std::size_t kMaxLingerBytes = 16 << 20;
const std::string kLateHeader = "the request's header did not come in time";
const std::string kTooMany = "too many connections";
const std::string kLateBody = "the request's body did not come in time";
// What a client may send ahead while its answer runs; one that sends more is cut off, since reading on is the
// only way to notice that it leaves.
constexpr std::size_t kMaxPipelinedBytes = 256 << 10;
constexpr int kClientGone = 499;  // only in the log

}  // namespace

class Connection::Taken {
 public:
  explicit Taken(Shared& shared) : shared_(shared) { ++shared_.num_taken; }
  ~Taken() {
    if (--shared_.num_taken == 0 && shared_.stopping) shared_.on_none_taken();
  }
  Taken(const Taken&) = delete;
  Taken& operator=(const Taken&) = delete;

 private:
  Shared& shared_;
};

Connection::Connection(asio::ip::tcp::socket socket, Strand strand, Shared& shared, bool surplus)
    : stream_(std::move(socket), shared.tls),
      strand_(strand),
      shared_(shared),
      surplus_(surplus),
      event_(strand, asio::steady_timer::time_point::max()),
      deadline_(strand),
      told_of_stop_(!shared.stopping),
      remote_(stream_.peer_name()) {}

void Connection::start(std::function<void()> on_closed) {
  asio::co_spawn(
      strand_, [self = shared_from_this()] { return self->serve(); },
      [self = shared_from_this(), on_closed = std::move(on_closed)](const std::exception_ptr& failure) {
        if (failure) log::error("connection of {} failed", self->remote_);
        self->disarm_deadline();
        self->stream_.close();
        on_closed();
      });
}

void Connection::drain() {
  asio::post(strand_, [self = shared_from_this()] {
    if (self->told_of_stop_) self->end_idling();
  });
}

void Connection::close_idle() {
  asio::post(strand_, [self = shared_from_this()] {
    self->told_of_stop_ = true;
    self->end_idling();
  });
}

void Connection::end_idling() {
  if (!idle_) return;
  closing_ = true;
  stream_.cancel();
}

void Connection::abort() {
  asio::post(strand_, [self = shared_from_this()] {
    self->aborted_ = true;
    if (self->exchange_) self->exchange_->abandon();
    self->stream_.close();
    self->notify();
  });
}

void Connection::arm_deadline(milliseconds timeout) {
  timed_out_ = false;
  deadline_.expires_after(timeout);
  deadline_.async_wait([self = shared_from_this(), idx = ++deadline_idx_](const error_code& ec) {
    if (ec || idx != self->deadline_idx_) return;
    self->timed_out_ = true;
    self->stream_.cancel();
  });
}

void Connection::disarm_deadline() {
  ++deadline_idx_;
  deadline_.cancel();
}

Connection::awaitable<void> Connection::wait_for_event() {
  co_await event_.async_wait(kAwait);
}

Connection::awaitable<bool> Connection::read_some() {
  // Asio waits for news of the socket after an end that it has reported, and none would come.
  if (client_gone_) co_return false;
  const auto [ec, num_bytes] = co_await stream_.read_some(asio::buffer(read_buffer_));
  input_.append(read_buffer_.data(), num_bytes);
  co_return !ec;
}

Connection::awaitable<bool> Connection::write(std::string_view bytes) {
  bytes.remove_prefix(stream_.write_now(bytes));
  if (bytes.empty()) co_return true;
  arm_deadline(shared_.options.write_timeout);
  const error_code ec = co_await stream_.write(bytes);
  disarm_deadline();
  co_return !ec;
}

Connection::awaitable<void> Connection::serve() {
  bool next = co_await handshake();
  if (next && surplus_) {
    HttpRequest unread;
    co_await refuse_with(503, kTooMany, unread);
    co_return;
  }
  while (next) next = co_await serve_one();
}

Connection::awaitable<bool> Connection::handshake() {
  arm_deadline(shared_.options.header_timeout);
  idle_ = true;
  const error_code ec = co_await stream_.handshake();
  idle_ = false;
  disarm_deadline();
  if (ec) log::debug("{}: no TLS handshake: {}", remote_, ec.message());
  co_return !ec;
}

Connection::awaitable<bool> Connection::read_head(HttpParser& parser) {
  arm_deadline(shared_.options.idle_timeout);
  while (true) {
    const bool was_started = parser.started();
    const auto progress = parser.advance(input_);
    if (progress == HttpParser::Progress::header_done) co_return true;
    if (progress == HttpParser::Progress::failed) {
      co_await refuse_with(parser.error().status, parser.error().message, parser.request());
      co_return false;
    }
    if (parser.started() && !was_started) arm_deadline(shared_.options.header_timeout);
    idle_ = !parser.started();
    if (idle_ && shared_.stopping && told_of_stop_) co_return false;
    const bool alive = co_await read_some();
    idle_ = false;
    if (alive) continue;
    if (timed_out_ && parser.started()) co_await refuse_with(408, kLateHeader, parser.request());
    co_return false;
  }
}

Connection::awaitable<bool> Connection::read_body(HttpParser& parser) {
  arm_deadline(shared_.options.body_timeout);
  while (true) {
    const auto progress = parser.advance(input_);
    if (progress == HttpParser::Progress::done) co_return true;
    if (progress == HttpParser::Progress::failed) {
      co_await refuse_with(parser.error().status, parser.error().message, parser.request());
      co_return false;
    }
    if (co_await read_some()) continue;
    if (timed_out_) co_await refuse_with(408, kLateBody, parser.request());
    co_return false;
  }
}

Connection::awaitable<bool> Connection::serve_one() {
  HttpParser parser({.max_header_bytes = shared_.options.max_header_bytes,
                     .max_body_bytes = shared_.options.max_body_bytes});
  if (!co_await read_head(parser)) co_return false;
  HttpRequest& head = parser.request();
  head.remote = remote_;
  head.id = choose_request_id(head.header("x-request-id"));
  auto taken = std::make_unique<Taken>(shared_);
  auto refusal = shared_.handler.refuse(head);
  if (refusal) taken.reset();
  told_of_stop_ = true;
  if (refusal && parser.has_body()) {
    co_await refuse(head, *refusal);
    co_return false;
  }
  if (parser.expects_continue() && !co_await write("HTTP/1.1 100 Continue\r\n\r\n")) co_return false;
  if (!co_await read_body(parser)) co_return false;
  disarm_deadline();
  if (co_await answer(head, refusal)) co_return true;
  taken.reset();
  if (!aborted_ && !client_gone_) co_await linger();
  co_return false;
}

Connection::awaitable<bool> Connection::answer(HttpRequest& request, std::optional<HttpResponse>& refusal) {
  request.received = std::chrono::steady_clock::now();
  const auto exchange = std::make_shared<SocketExchange>(
      SocketExchange::Host{shared_.io, strand_, shared_.handler, shared_.stopping,
                           shared_.options.max_unsent_bytes,
                           [weak = weak_from_this()] {
                             if (auto self = weak.lock()) self->notify();
                           }},
      std::move(request));
  exchange_ = exchange;
  if (refusal)
    exchange->reply(std::move(*refusal));
  else if (!aborted_)
    exchange->run_handler();
  if (!aborted_) co_await write_answer(exchange);
  exchange_ = nullptr;
  if (!exchange->is_finished()) client_gone_ = true;
  shared_.handler.done(exchange->request(),
                       {.status = exchange->is_finished() ? exchange->status() : kClientGone,
                        .seconds = exchange->request().seconds_since_received(),
                        .report = exchange->report()});
  co_return exchange->is_finished() && exchange->keep_alive() && !aborted_;
}

Connection::awaitable<void> Connection::write_answer(const std::shared_ptr<SocketExchange>& exchange) {
  if (!exchange->is_over()) {
    watching_ = true;
    asio::co_spawn(
        strand_, [self = shared_from_this(), exchange] { return self->watch_client(exchange); },
        asio::detached);
  }
  while (true) {
    const std::string output = exchange->take_output();
    if (!output.empty()) {
      const bool written = co_await write(output);
      exchange->bytes_written(output.size());
      if (written) continue;
      exchange->abandon();
      break;
    }
    if (exchange->is_over()) break;
    co_await wait_for_event();
  }
  // The pending read ends with what it has got: a byte of the next request is not lost.
  while (watching_) {
    stream_.cancel();
    co_await wait_for_event();
  }
}

Connection::awaitable<void> Connection::watch_client(std::shared_ptr<SocketExchange> exchange) {
  while (!exchange->is_over()) {
    const auto [ec, num_bytes] = co_await stream_.read_some(asio::buffer(read_buffer_));
    input_.append(read_buffer_.data(), num_bytes);
    if (ec == asio::error::operation_aborted) break;  // ours: the answer is over or a write took too long
    if (!ec && input_.size() <= kMaxPipelinedBytes) continue;
    client_gone_ = true;
    if (!exchange->is_over()) {
      exchange->abandon();
      stream_.cancel();
    }
    break;
  }
  watching_ = false;
  notify();
}

Connection::awaitable<void> Connection::refuse(HttpRequest& head, HttpResponse& response) {
  if (head.id.empty()) head.id = choose_request_id(nullptr);
  head.remote = remote_;
  shared_.handler.decorate(head, response);
  std::string bytes = format_head(response, head, BodyFraming::content_length, false);
  if (head.method != "HEAD") bytes += response.body;
  const bool written = co_await write(bytes);
  shared_.handler.done(head, {.status = response.status});
  if (written) co_await linger();
}

Connection::awaitable<void> Connection::refuse_with(int status, const std::string& message,
                                                    HttpRequest& head) {
  HttpResponse response = shared_.handler.error_response(head, status, message);
  co_await refuse(head, response);
}

Connection::awaitable<void> Connection::linger() {
  arm_deadline(kLingerTimeout);
  idle_ = true;
  co_await stream_.end_writing();
  std::size_t num_dropped_bytes = 0;
  while (num_dropped_bytes < kMaxLingerBytes && !timed_out_ && !closing_) {
    input_.clear();
    if (!co_await read_some()) break;
    num_dropped_bytes += input_.size();
  }
}

}  // namespace lmdeploy
