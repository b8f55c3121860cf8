#include "client/digest.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <array>

#include "base/error.h"

namespace lmdeploy::client {

struct Digest::Impl {
  explicit Impl(const EVP_MD* kind) : context(EVP_MD_CTX_new(), EVP_MD_CTX_free) {
    CHECK(context && EVP_DigestInit_ex(context.get(), kind, nullptr) == 1);
  }
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context;
};

Digest::Digest(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Digest::Digest(Digest&&) noexcept = default;
Digest::~Digest() = default;

Digest Digest::sha256() {
  return Digest(std::make_unique<Impl>(EVP_sha256()));
}

Digest Digest::git_blob(std::int64_t total_bytes) {
  Digest digest(std::make_unique<Impl>(EVP_sha1()));
  digest.update(fmt::format("blob {}", total_bytes) + '\0');
  return digest;
}

void Digest::update(std::string_view bytes) {
  CHECK(EVP_DigestUpdate(impl_->context.get(), bytes.data(), bytes.size()) == 1);
}

std::string Digest::finish() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> raw;
  unsigned size = 0;
  CHECK(EVP_DigestFinal_ex(impl_->context.get(), raw.data(), &size) == 1);
  std::string hex;
  for (unsigned i = 0; i < size; ++i) hex += fmt::format("{:02x}", raw[i]);
  return hex;
}

}  // namespace lmdeploy::client
