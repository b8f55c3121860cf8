#pragma once
// One client's connection: requests one after another, each with deadlines. Private to http_*.cc.
#include <array>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>

#include "server/http_exchange.h"
#include "server/http_parser.h"
#include "server/server.h"

namespace lmdeploy {

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  struct Shared {
    const ServerOptions& options;
    HttpHandler& handler;
    std::shared_ptr<boost::asio::io_context> io;
    std::atomic<bool> stopping{false};
  };
  // The socket's executor is `strand`.
  Connection(boost::asio::ip::tcp::socket socket, Strand strand, Shared& shared);

  // on_closed is called on the strand once nothing more will happen.
  void start(std::function<void()> on_closed);
  // From any thread, after Shared::stopping was set: an idle connection closes now, another after its answer.
  void drain();
  // From any thread: the running answer ends now.
  void abort();

 private:
  template <typename T>
  using awaitable = boost::asio::awaitable<T>;
  using milliseconds = std::chrono::milliseconds;

  // Coroutines take references: gcc 12 destroys temporaries that are passed to one by value twice.
  awaitable<void> serve();
  awaitable<bool> serve_one();  // true: the next request may follow
  awaitable<bool> read_head(HttpParser& parser);
  awaitable<bool> read_body(HttpParser& parser);
  awaitable<bool> read_some();
  awaitable<bool> write(std::string_view bytes);
  awaitable<bool> answer(HttpRequest& request, std::optional<HttpResponse>& refusal);
  awaitable<void> write_answer(const std::shared_ptr<SocketExchange>& exchange);
  awaitable<void> watch_client(std::shared_ptr<SocketExchange> exchange);
  awaitable<void> refuse(HttpRequest& head, HttpResponse& response);
  awaitable<void> refuse_with(int status, const std::string& message, HttpRequest& head);
  awaitable<void> linger();
  awaitable<void> wait_for_event();
  void notify() { event_.cancel(); }
  void arm_deadline(milliseconds timeout);
  void disarm_deadline();

  boost::asio::ip::tcp::socket socket_;
  Strand strand_;
  Shared& shared_;
  boost::asio::steady_timer event_;
  boost::asio::steady_timer deadline_;
  std::uint64_t deadline_idx_ = 0;  // tells a late expiry of an earlier deadline from the current one's
  bool timed_out_ = false;
  bool idle_ = false;  // between two requests
  bool watching_ = false;
  bool aborted_ = false;
  std::shared_ptr<SocketExchange> exchange_;
  std::string remote_;
  std::string input_;  // read and not used yet: the rest of a request, or pipelined ones
  std::array<char, 8192> read_buffer_;
};

}  // namespace lmdeploy
