#include "server/certificate.h"

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <memory>

namespace lmdeploy::testing {
namespace {

using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using Cert = std::unique_ptr<X509, decltype(&X509_free)>;
using File = std::unique_ptr<BIO, decltype(&BIO_free)>;

File open(const std::filesystem::path& path, const char* mode) {
  return {BIO_new_file(path.c_str(), mode), BIO_free};
}

Cert sign(EVP_PKEY* key) {
  constexpr long kDay = 24 * 60 * 60;
  Cert cert(X509_new(), X509_free);
  X509_set_version(cert.get(), X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(cert.get()), 1);
  X509_gmtime_adj(X509_getm_notBefore(cert.get()), -kDay);
  X509_gmtime_adj(X509_getm_notAfter(cert.get()), kDay);
  X509_set_pubkey(cert.get(), key);
  X509_NAME* name = X509_get_subject_name(cert.get());
  const unsigned char text[] = "localhost";
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, text, -1, -1, 0);
  X509_set_issuer_name(cert.get(), name);
  X509_sign(cert.get(), key, EVP_sha256());
  return cert;
}

}  // namespace

Certificate::Certificate(const TempFolder& folder, const std::string& name)
    : key_file(folder / (name + ".key")), cert_file(folder / (name + ".crt")) {
  const Key key(EVP_EC_gen("P-256"), EVP_PKEY_free);
  PEM_write_bio_PrivateKey(open(key_file, "w").get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr);
  PEM_write_bio_X509(open(cert_file, "w").get(), sign(key.get()).get());
}

std::filesystem::path encrypted_key(const TempFolder& folder, const Certificate& certificate) {
  const Key key(PEM_read_bio_PrivateKey(open(certificate.key_file, "r").get(), nullptr, nullptr, nullptr),
                EVP_PKEY_free);
  std::filesystem::path path = folder / "encrypted.key";
  unsigned char passphrase[] = "secret";
  PEM_write_bio_PrivateKey(open(path, "w").get(), key.get(), EVP_aes_128_cbc(), passphrase, 6, nullptr,
                           nullptr);
  return path;
}

}  // namespace lmdeploy::testing
