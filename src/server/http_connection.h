#pragma once
// One client's connection: requests one after another, each with deadlines. Private to http_*.cc.
#include <array>
#include <boost/asio/steady_timer.hpp>

#include "server/http_exchange.h"
#include "server/http_parser.h"
#include "server/http_tls.h"
#include "server/server.h"

namespace lmdeploy {

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  struct Shared {
    const ServerOptions& options;
    HttpHandler& handler;
    std::shared_ptr<boost::asio::io_context> io;
    boost::asio::ssl::context* tls;  // null: plain HTTP
    // From then on answers say Connection: close, and the handler refuses what is new.
    std::atomic<bool> stopping{false};
    std::atomic<std::int64_t> num_taken{0};    // requests that were not refused and are not answered yet
    std::function<void()> on_none_taken = {};  // from any thread, once stopping
  };
  // The socket's executor is `strand`. surplus: there are too many connections; this one is told so.
  Connection(boost::asio::ip::tcp::socket socket, Strand strand, Shared& shared, bool surplus);

  // on_closed is called on the strand once nothing more will happen.
  void start(std::function<void()> on_closed);
  // From any thread, after Shared::stopping was set: a connection without a request closes now, another after
  // its answer. One that was accepted since then is let be, so that it is told of the stop.
  void drain();
  // From any thread: without a running answer it closes now.
  void close_idle();
  // From any thread: the running answer ends now.
  void abort();

 private:
  template <typename T>
  using awaitable = boost::asio::awaitable<T>;
  using milliseconds = std::chrono::milliseconds;

  // A request that is not refused, for as long as it is answered.
  class Taken;

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
  awaitable<bool> handshake();
  awaitable<void> wait_for_event();
  void notify() { event_.cancel(); }
  void end_idling();
  void arm_deadline(milliseconds timeout);
  void disarm_deadline();

  ClientStream stream_;
  Strand strand_;
  Shared& shared_;
  const bool surplus_;
  boost::asio::steady_timer event_;
  boost::asio::steady_timer deadline_;
  std::uint64_t deadline_idx_ = 0;  // tells a late expiry of an earlier deadline from the current one's
  bool timed_out_ = false;
  bool idle_ = false;  // waits for bytes that nobody has to send
  bool told_of_stop_;  // nothing is left to say once the server stops
  bool watching_ = false;
  bool aborted_ = false;
  bool client_gone_ = false;  // or does not read
  bool closing_ = false;      // what is idle ends
  std::shared_ptr<SocketExchange> exchange_;
  std::string remote_;
  std::string input_;  // read and not used yet: the rest of a request, or pipelined ones
  std::array<char, 8192> read_buffer_;
};

}  // namespace lmdeploy
