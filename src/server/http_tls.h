#pragma once
// TLS of the server's side, and a client's socket with or without it. Private to http_*.cc.
#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace lmdeploy {

// TLS 1.2 and later with the certificate (chain) and the private key of two PEM files. Throws Error where one
// cannot be read, is damaged or asks for a passphrase, or where they do not belong together.
boost::asio::ssl::context make_tls_context(const std::string& cert_file, const std::string& key_file);

// One client's connection as a stream of bytes. Every call is made on the socket's strand; one read and one
// write may be pending at once.
class ClientStream {
 public:
  using tcp = boost::asio::ip::tcp;
  using error_code = boost::system::error_code;
  template <typename T>
  using awaitable = boost::asio::awaitable<T>;

  // tls: null for none; it outlives the stream.
  ClientStream(tcp::socket socket, boost::asio::ssl::context* tls);

  awaitable<error_code> handshake();  // nothing to do without TLS
  awaitable<std::pair<error_code, std::size_t>> read_some(boost::asio::mutable_buffer buffer);
  awaitable<error_code> write(std::string_view bytes);  // all of them
  // How many of the bytes the system took at once, without TLS; the rest, and any error, is for write(). A
  // token's event is nearly always taken, and needs no wait and no deadline then.
  std::size_t write_now(std::string_view bytes);
  // Says that no byte follows: TLS's close_notify, for whose answer it waits until cancel(), or FIN.
  awaitable<void> end_writing();

  // What is pending ends with operation_aborted; a read that had got bytes still delivers them.
  void cancel();
  void close();
  std::string peer_name() const;  // address:port, "?" where it has gone

 private:
  using Tls = boost::asio::ssl::stream<tcp::socket>;
  tcp::socket& socket();
  const tcp::socket& socket() const;

  std::variant<tcp::socket, Tls> stream_;
};

}  // namespace lmdeploy
