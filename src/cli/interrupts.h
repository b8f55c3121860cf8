#pragma once

namespace lmdeploy::cli {

// While one of these lives, Ctrl-C does not end the process but is counted here. At most one at a time.
class Interrupts {
 public:
  Interrupts();
  ~Interrupts();
  Interrupts(const Interrupts&) = delete;
  Interrupts& operator=(const Interrupts&) = delete;

  bool take();                                          // whether Ctrl-C came since the last call
  int descriptor() const noexcept { return pipe_[0]; }  // readable while take() would be true

 private:
  int pipe_[2];
};

}  // namespace lmdeploy::cli
