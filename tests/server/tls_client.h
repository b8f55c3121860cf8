#pragma once
#include <memory>
#include <string_view>

namespace lmdeploy::testing {

// The client's side of TLS over a connected socket, blocking. It trusts whatever certificate it is shown.
class TlsClient {
 public:
  explicit TlsClient(int fd);  // shakes hands; ok() says whether that worked
  ~TlsClient();

  bool ok() const { return ok_; }
  bool write(std::string_view bytes);
  long read(char* buffer, int len);  // 0 or less: the end
  bool has_pending() const;          // bytes that the socket does not show any more
  void close_notify();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
  bool ok_ = false;
};

}  // namespace lmdeploy::testing
