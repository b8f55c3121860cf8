#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace lmdeploy::client {

// A hash of a stream, in lower-case hexadecimal.
class Digest {
 public:
  static Digest sha256();                            // of LFS files
  static Digest git_blob(std::int64_t total_bytes);  // SHA-1 as git names a file of that size
  Digest(Digest&&) noexcept;
  ~Digest();

  void update(std::string_view bytes);
  std::string finish();

 private:
  struct Impl;
  explicit Digest(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace lmdeploy::client
