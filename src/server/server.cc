#include "server/server.h"

#include "server/http_server.h"
#include "server/routes.h"

namespace lmdeploy {

struct Server::Impl {
  Impl(ServerOptions server_options, const ServedModel& served_model)
      : options(std::move(server_options)),
        model(served_model),
        routes(options, model),
        http(options, routes) {}

  const ServerOptions options;
  const ServedModel model;
  Routes routes;
  HttpServer http;
};

Server::Server(ServerOptions options, const ServedModel& model)
    : impl_(std::make_unique<Impl>(std::move(options), model)) {}

Server::~Server() = default;

std::uint16_t Server::port() const noexcept {
  return impl_->http.port();
}
void Server::run() {
  impl_->http.run();
}
void Server::stop() {
  impl_->http.stop();
}

}  // namespace lmdeploy
