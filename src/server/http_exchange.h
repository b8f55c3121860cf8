#pragma once
// The exchange of a connection: turns a route's calls into bytes that wait to be written. Private to
// http_*.cc.
#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/strand.hpp>

#include "server/exchange.h"

namespace lmdeploy {

using Strand = boost::asio::strand<boost::asio::io_context::executor_type>;

class SocketExchange final : public Exchange, public std::enable_shared_from_this<SocketExchange> {
 public:
  struct Host {
    // Kept until the engine has let go of its sink, which may be after the server's end.
    std::shared_ptr<boost::asio::io_context> io;
    Strand strand;
    HttpHandler& handler;
    const std::atomic<bool>& stopping;  // answers say Connection: close from then on
    std::size_t max_unsent_bytes;
    std::function<void()> wake;  // there is output, or an end
  };
  SocketExchange(Host host, HttpRequest request);

  const HttpRequest& request() const override { return request_; }
  void reply(HttpResponse response) override;
  void start_stream(HttpResponse head) override;
  void send(std::string_view data) override;
  void finish() override;
  void post(std::function<void()> task) override;
  void dispatch(std::function<void()> task) override;
  bool is_gone() const override { return gone_; }
  void on_gone(std::function<void()> callback) override;
  void set_report(const AnswerReport& report) override { report_ = report; }

  // The connection's side.
  void run_handler();  // handler.handle(), its exceptions included
  void abandon();      // nobody reads any more
  std::string take_output();
  void bytes_written(std::size_t num_bytes) { num_unsent_bytes_ -= num_bytes; }
  bool is_over() const { return finished_ || gone_; }
  bool is_finished() const { return finished_; }
  bool keep_alive() const { return keep_alive_ && !gone_; }
  int status() const { return status_; }
  const std::optional<AnswerReport>& report() const { return report_; }

 private:
  void reply_now(HttpResponse response);
  void begin(HttpResponse& response, BodyFraming framing);
  void append(std::string bytes);
  void end();
  void run_guarded(const std::function<void()>& task);

  Host host_;
  // Until then HttpServer::run() does not return either.
  boost::asio::executor_work_guard<Strand> work_;
  HttpRequest request_;
  std::function<void()> on_gone_;
  std::optional<AnswerReport> report_;
  std::string output_;
  std::size_t num_unsent_bytes_ = 0;  // output_ and what is being written
  BodyFraming framing_ = BodyFraming::none;
  int status_ = 0;  // 0: no head yet
  bool keep_alive_ = true;
  bool finished_ = false;
  std::atomic<bool> gone_ = false;  // set on the strand
};

}  // namespace lmdeploy
