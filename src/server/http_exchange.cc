#include "server/http_exchange.h"

#include <boost/asio/dispatch.hpp>
#include <boost/asio/post.hpp>

#include "base/error.h"
#include "base/log.h"

namespace lmdeploy {

SocketExchange::SocketExchange(Host host, HttpRequest request)
    : host_(std::move(host)), work_(host_.strand), request_(std::move(request)) {}

void SocketExchange::begin(HttpResponse& response, BodyFraming framing) {
  host_.handler.decorate(request_, response);
  framing_ = framing;
  status_ = response.status;
  keep_alive_ = request_.keep_alive && framing != BodyFraming::until_close && !host_.stopping.load();
  append(format_head(response, request_, framing, keep_alive_));
}

void SocketExchange::reply(HttpResponse response) {
  if (host_.strand.running_in_this_thread())
    reply_now(std::move(response));
  else
    post([self = shared_from_this(), response = std::move(response)] { self->reply_now(response); });
}

void SocketExchange::reply_now(HttpResponse response) {
  if (gone_) return;
  CHECK(status_ == 0, "a second answer to {} {}", request_.method, request_.path);
  const bool has_body = response.status != 204 && response.status != 304;
  begin(response, has_body ? BodyFraming::content_length : BodyFraming::none);
  if (request_.method != "HEAD") append(std::move(response.body));
  end();
}

void SocketExchange::start_stream(HttpResponse head) {
  if (gone_) return;
  CHECK(status_ == 0, "a second answer to {} {}", request_.method, request_.path);
  begin(head, request_.http_1_0 ? BodyFraming::until_close : BodyFraming::chunked);
}

void SocketExchange::send(std::string_view data) {
  if (is_over() || data.empty()) return;
  append(framing_ == BodyFraming::chunked ? format_chunk(data) : std::string(data));
  if (num_unsent_bytes_ > host_.max_unsent_bytes) {
    log::warn("{}: the client does not read, its answer ends", request_.id);
    abandon();
  }
}

void SocketExchange::finish() {
  if (is_over()) return;
  if (framing_ == BodyFraming::chunked) append(std::string(kLastChunk));
  end();
}

void SocketExchange::append(std::string bytes) {
  num_unsent_bytes_ += bytes.size();
  output_ += bytes;
  host_.wake();
}

void SocketExchange::end() {
  finished_ = true;
  on_gone_ = nullptr;
  host_.wake();
}

void SocketExchange::abandon() {
  if (is_over()) return;
  gone_ = true;
  output_.clear();
  if (auto callback = std::exchange(on_gone_, nullptr)) callback();
  host_.wake();
}

std::string SocketExchange::take_output() {
  return std::exchange(output_, {});
}

void SocketExchange::run_guarded(const std::function<void()>& task) {
  try {
    task();
  } catch (const std::exception& e) {
    log::error("{}: {}", request_.id, e.what());
    if (is_over()) return;
    auto callback = std::exchange(on_gone_, nullptr);
    if (status_ == 0) {
      reply(host_.handler.error_response(request_, 500, "internal error, see the server's log"));
    } else {
      gone_ = true;
      host_.wake();
    }
    if (callback) callback();
  }
}

void SocketExchange::post(std::function<void()> task) {
  boost::asio::post(host_.strand,
                    [self = shared_from_this(), task = std::move(task)] { self->run_guarded(task); });
}

void SocketExchange::dispatch(std::function<void()> task) {
  boost::asio::dispatch(host_.strand,
                        [self = shared_from_this(), task = std::move(task)] { self->run_guarded(task); });
}

void SocketExchange::on_gone(std::function<void()> callback) {
  if (gone_)
    callback();
  else
    on_gone_ = std::move(callback);
}

void SocketExchange::run_handler() {
  run_guarded([this] { host_.handler.handle(shared_from_this()); });
}

}  // namespace lmdeploy
