#include "server/server.h"

#include "server/http_server.h"
#include "server/routes.h"

namespace lmdeploy {

struct Server::Impl {
  explicit Impl(ServerOptions server_options)
      : options(std::move(server_options)), routes(options), http(options, routes) {}

  const ServerOptions options;
  Routes routes;
  HttpServer http;
};

Server::Server(ServerOptions options) : impl_(std::make_unique<Impl>(std::move(options))) {
  impl_->http.start();
}

Server::~Server() = default;

std::uint16_t Server::port() const noexcept {
  return impl_->http.port();
}
void Server::serve(const ServedModel& model) {
  if (impl_->options.handle_signals) impl_->http.handle_signals();
  impl_->routes.serve(model);
}
void Server::run() {
  impl_->http.run();
}
void Server::stop() {
  impl_->http.stop();
}

}  // namespace lmdeploy
