#include "server/http_tls.h"

#include <fmt/format.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include "base/error.h"

namespace lmdeploy {
namespace asio = boost::asio;
namespace ssl = boost::asio::ssl;

namespace {

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);

void check(const boost::system::error_code& ec, std::string_view what, const std::string& file,
           const std::string& remedy) {
  if (ec) throw Error(fmt::format("{} {}: {}", what, file, ec.message()), remedy);
}

ClientStream::tcp::socket prepared(ClientStream::tcp::socket socket) {
  boost::system::error_code ignored;
  socket.set_option(asio::ip::tcp::no_delay(true), ignored);
  socket.set_option(asio::socket_base::keep_alive(true), ignored);
  return socket;
}

}  // namespace

ssl::context make_tls_context(const std::string& cert_file, const std::string& key_file) {
  ssl::context tls(ssl::context::tls_server);
  tls.set_options(ssl::context::no_sslv2 | ssl::context::no_sslv3 | ssl::context::no_tlsv1 |
                  ssl::context::no_tlsv1_1 | ssl::context::no_compression);
  SSL_CTX_set_options(tls.native_handle(), SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE);
  // Without one OpenSSL asks on the terminal and waits there.
  tls.set_password_callback([](std::size_t, ssl::context::password_purpose) { return std::string(); });
  boost::system::error_code ec;
  tls.use_certificate_chain_file(cert_file, ec);
  check(ec, "TLS certificate", cert_file,
        "SSL_CERTFILE names a PEM file with the server's certificate first, then those that signed it.");
  tls.use_private_key_file(key_file, ssl::context::pem, ec);
  check(ec, "TLS private key", key_file,
        "SSL_KEYFILE names a PEM file with the certificate's private key, without a passphrase.");
  return tls;
}

ClientStream::ClientStream(tcp::socket socket, ssl::context* tls)
    : stream_(tls == nullptr ? std::variant<tcp::socket, Tls>(prepared(std::move(socket)))
                             : std::variant<tcp::socket, Tls>(std::in_place_type<Tls>,
                                                              prepared(std::move(socket)), *tls)) {}

ClientStream::tcp::socket& ClientStream::socket() {
  if (auto* tls = std::get_if<Tls>(&stream_)) return tls->next_layer();
  return std::get<tcp::socket>(stream_);
}

const ClientStream::tcp::socket& ClientStream::socket() const {
  if (const auto* tls = std::get_if<Tls>(&stream_)) return tls->next_layer();
  return std::get<tcp::socket>(stream_);
}

ClientStream::awaitable<ClientStream::error_code> ClientStream::handshake() {
  auto* tls = std::get_if<Tls>(&stream_);
  if (tls == nullptr) co_return error_code{};
  auto [ec] = co_await tls->async_handshake(ssl::stream_base::server, kAwait);
  co_return ec;
}

ClientStream::awaitable<std::pair<ClientStream::error_code, std::size_t>> ClientStream::read_some(
    asio::mutable_buffer buffer) {
  if (auto* tls = std::get_if<Tls>(&stream_)) {
    auto [ec, num_bytes] = co_await tls->async_read_some(buffer, kAwait);
    co_return std::pair{ec, num_bytes};
  }
  auto [ec, num_bytes] = co_await socket().async_read_some(buffer, kAwait);
  co_return std::pair{ec, num_bytes};
}

ClientStream::awaitable<ClientStream::error_code> ClientStream::write(std::string_view bytes) {
  if (auto* tls = std::get_if<Tls>(&stream_)) {
    auto [ec, num_bytes] = co_await asio::async_write(*tls, asio::buffer(bytes), kAwait);
    co_return ec;
  }
  auto [ec, num_bytes] = co_await asio::async_write(socket(), asio::buffer(bytes), kAwait);
  co_return ec;
}

std::size_t ClientStream::write_now(std::string_view bytes) {
  if (std::holds_alternative<Tls>(stream_)) return 0;
  const ssize_t num_bytes =
      ::send(socket().native_handle(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  return static_cast<std::size_t>(std::max<ssize_t>(0, num_bytes));
}

ClientStream::awaitable<void> ClientStream::end_writing() {
  if (auto* tls = std::get_if<Tls>(&stream_)) co_await tls->async_shutdown(kAwait);
  error_code ignored;
  socket().shutdown(tcp::socket::shutdown_send, ignored);
}

void ClientStream::cancel() {
  error_code ignored;
  socket().cancel(ignored);
}

void ClientStream::close() {
  error_code ignored;
  socket().close(ignored);
}

std::string ClientStream::peer_name() const {
  error_code ec;
  const auto endpoint = socket().remote_endpoint(ec);
  return ec ? "?" : fmt::format("{}:{}", endpoint.address().to_string(), endpoint.port());
}

}  // namespace lmdeploy
