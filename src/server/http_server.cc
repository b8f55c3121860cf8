#include "server/http_server.h"

#include <fmt/format.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <mutex>
#include <thread>
#include <unordered_map>

#include "base/error.h"
#include "base/log.h"
#include "server/http_connection.h"

namespace lmdeploy {
namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

namespace {

constexpr std::chrono::milliseconds kAcceptRetryDelay{50};
// After the last answer of a drain: refusals that are being written may still reach their clients.
constexpr std::chrono::milliseconds kFarewell{250};
// Newcomers beyond max_connections that are told so at once; more than these are only closed.
constexpr std::int64_t kMaxSurplus = 256;

tcp::endpoint resolve(asio::io_context& io, const ServerOptions& options) {
  error_code ec;
  tcp::resolver resolver(io);
  const auto found = resolver.resolve(options.server_name, std::to_string(options.server_port),
                                      tcp::resolver::passive | tcp::resolver::numeric_service, ec);
  if (ec || found.empty())
    throw Error(fmt::format("--server-name {}: no such address ({})", options.server_name, ec.message()),
                "Use 0.0.0.0 for all addresses of this machine, or 127.0.0.1 for itself only.");
  return found.begin()->endpoint();
}

std::string listen_remedy(const error_code& ec, std::uint16_t port) {
  if (ec == asio::error::address_in_use)
    return fmt::format("Another program listens on port {}: stop it, or choose another --server-port.", port);
  if (ec == asio::error::access_denied) return "Ports below 1024 need root: choose another --server-port.";
  return "Choose a --server-name that is an address of this machine.";
}

std::unique_ptr<asio::ssl::context> make_tls(const ServerOptions& options) {
  if (options.ssl_certfile.empty() && options.ssl_keyfile.empty()) return nullptr;
  return std::make_unique<asio::ssl::context>(make_tls_context(options.ssl_certfile, options.ssl_keyfile));
}

}  // namespace

struct HttpServer::Impl {
  Impl(const ServerOptions& server_options, HttpHandler& handler);

  void listen();
  asio::awaitable<void> accept_loop();
  void adopt(tcp::socket socket, Strand strand);
  void wait_for_signal();
  void stop_once_more();
  void begin_drain();
  void end_drain();
  void abort_all();
  void forget(const Connection* connection);
  void end_if_idle();
  void run_thread();
  template <typename F>
  void for_each_connection(F&& visit);

  const ServerOptions& options;
  std::shared_ptr<asio::io_context> io = std::make_shared<asio::io_context>();
  std::unique_ptr<asio::ssl::context> tls;
  Strand strand;  // of everything below but the connections
  tcp::acceptor acceptor;
  asio::signal_set signals;
  asio::steady_timer retry;  // of accept
  asio::steady_timer timer;  // the drain's end
  Connection::Shared shared;
  std::uint16_t port = 0;
  int num_stops = 0;
  bool drain_ended = false;
  std::vector<std::thread> threads;
  std::mutex mutex;
  std::unordered_map<const Connection*, std::weak_ptr<Connection>> connections;  // under mutex
};

HttpServer::Impl::Impl(const ServerOptions& server_options, HttpHandler& handler)
    : options(server_options),
      tls(make_tls(options)),
      strand(asio::make_strand(*io)),
      acceptor(strand),
      signals(strand),
      retry(strand),
      timer(strand),
      shared{options, handler, io, tls.get()} {
  shared.on_none_taken = [this] { asio::post(strand, [this] { end_drain(); }); };
}

void HttpServer::Impl::listen() {
  const tcp::endpoint endpoint = resolve(*io, options);
  error_code ec;
  acceptor.open(endpoint.protocol(), ec);
  if (!ec) acceptor.set_option(asio::socket_base::reuse_address(true), ec);
  if (!ec) acceptor.bind(endpoint, ec);
  if (!ec) acceptor.listen(asio::socket_base::max_listen_connections, ec);
  if (ec)
    throw Error(
        fmt::format("cannot listen on {}:{}: {}", options.server_name, options.server_port, ec.message()),
        listen_remedy(ec, options.server_port));
  port = acceptor.local_endpoint().port();
}

asio::awaitable<void> HttpServer::Impl::accept_loop() {
  while (acceptor.is_open()) {
    Strand connection_strand = asio::make_strand(*io);
    auto [ec, socket] =
        co_await acceptor.async_accept(connection_strand, asio::as_tuple(asio::use_awaitable));
    if (!acceptor.is_open()) break;
    if (!ec) {
      adopt(std::move(socket), connection_strand);
    } else {
      // Out of descriptors or memory: those who are connected go on, new ones wait in the kernel's queue.
      log::warn("cannot accept a connection: {}", ec.message());
      retry.expires_after(kAcceptRetryDelay);
      co_await retry.async_wait(asio::as_tuple(asio::use_awaitable));
    }
  }
}

void HttpServer::Impl::adopt(tcp::socket socket, Strand connection_strand) {
  std::shared_ptr<Connection> connection;
  {
    const std::lock_guard lock(mutex);
    const std::int64_t num_surplus = std::ssize(connections) - options.max_connections;
    if (num_surplus >= kMaxSurplus) return;
    connection = std::make_shared<Connection>(std::move(socket), std::move(connection_strand), shared,
                                              num_surplus >= 0);
    connections.emplace(connection.get(), connection);
  }
  connection->start([this, key = connection.get()] { forget(key); });
}

void HttpServer::Impl::wait_for_signal() {
  signals.async_wait([this](const error_code& ec, int signal) {
    if (ec) return;
    log::info("signal {}: {}", signal, num_stops == 0 ? "finishing what runs" : "stopping now");
    wait_for_signal();  // first: with nothing left to drain the next line cancels this wait
    stop_once_more();
  });
}

void HttpServer::Impl::stop_once_more() {
  if (++num_stops == 1)
    begin_drain();
  else
    abort_all();
}

// Who comes now is still accepted and told 503: a load balancer that has not heard of the stop yet gets an
// answer that it can act on.
void HttpServer::Impl::begin_drain() {
  shared.handler.begin_drain();
  shared.stopping = true;
  timer.expires_after(options.drain_timeout);
  timer.async_wait([this](const error_code& ec) {
    if (ec) return;
    log::warn("answers still run after {} s, they end now",
              std::chrono::duration<double>(options.drain_timeout).count());
    abort_all();
  });
  for_each_connection([](Connection& connection) { connection.drain(); });
  // A request counts as taken before the handler is asked, so that none slips in between.
  if (shared.num_taken == 0) end_drain();
}

void HttpServer::Impl::end_drain() {
  if (std::exchange(drain_ended, true)) return;
  error_code ignored;
  acceptor.close(ignored);
  retry.cancel();
  for_each_connection([](Connection& connection) { connection.close_idle(); });
  timer.expires_after(kFarewell);
  timer.async_wait([this](const error_code& ec) {
    if (!ec) abort_all();
  });
  end_if_idle();
}

void HttpServer::Impl::abort_all() {
  drain_ended = true;
  error_code ignored;
  acceptor.close(ignored);
  retry.cancel();
  for_each_connection([](Connection& connection) { connection.abort(); });
}

template <typename F>
void HttpServer::Impl::for_each_connection(F&& visit) {
  const std::lock_guard lock(mutex);
  for (const auto& [key, weak] : connections)
    if (const auto connection = weak.lock()) visit(*connection);
}

void HttpServer::Impl::forget(const Connection* connection) {
  {
    const std::lock_guard lock(mutex);
    connections.erase(connection);
  }
  if (shared.stopping) asio::post(strand, [this] { end_if_idle(); });
}

// With the last connection gone nothing but these two waits keeps io.run() from returning.
void HttpServer::Impl::end_if_idle() {
  const std::lock_guard lock(mutex);
  if (!drain_ended || !connections.empty()) return;
  timer.cancel();
  signals.cancel();
}

void HttpServer::Impl::run_thread() {
  while (true) {
    try {
      io->run();
      return;
    } catch (const std::exception& e) {
      log::error("in an io thread: {}", e.what());
    }
  }
}

HttpServer::HttpServer(const ServerOptions& options, HttpHandler& handler)
    : impl_(std::make_unique<Impl>(options, handler)) {
  impl_->listen();
}

HttpServer::~HttpServer() {
  stop();
  stop();
  for (std::thread& thread : impl_->threads) thread.join();
}

std::uint16_t HttpServer::port() const noexcept {
  return impl_->port;
}

void HttpServer::start() {
  asio::co_spawn(impl_->strand, impl_->accept_loop(), asio::detached);
  for (int i = 0; i < impl_->options.num_io_threads; ++i)
    impl_->threads.emplace_back([this] { impl_->run_thread(); });
}

void HttpServer::handle_signals() {
  impl_->signals.add(SIGINT);
  impl_->signals.add(SIGTERM);
  asio::post(impl_->strand, [this] {
    if (impl_->num_stops == 0) impl_->wait_for_signal();
  });
}

void HttpServer::run() {
  for (std::thread& thread : impl_->threads) thread.join();
  impl_->threads.clear();
}

void HttpServer::stop() {
  asio::post(impl_->strand, [this] { impl_->stop_once_more(); });
}

}  // namespace lmdeploy
