#include "server/tls_client.h"

#include <openssl/ssl.h>

namespace lmdeploy::testing {

struct TlsClient::Impl {
  std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context{SSL_CTX_new(TLS_client_method()), SSL_CTX_free};
  std::unique_ptr<SSL, decltype(&SSL_free)> session{SSL_new(context.get()), SSL_free};
};

TlsClient::TlsClient(int fd) : impl_(std::make_unique<Impl>()) {
  SSL_set_fd(impl_->session.get(), fd);
  ok_ = SSL_connect(impl_->session.get()) == 1;
}

TlsClient::~TlsClient() = default;

bool TlsClient::write(std::string_view bytes) {
  return SSL_write(impl_->session.get(), bytes.data(), static_cast<int>(bytes.size())) > 0;
}

long TlsClient::read(char* buffer, int len) {
  return SSL_read(impl_->session.get(), buffer, len);
}

bool TlsClient::has_pending() const {
  return SSL_pending(impl_->session.get()) > 0;
}

void TlsClient::close_notify() {
  SSL_shutdown(impl_->session.get());
}

}  // namespace lmdeploy::testing
