#pragma once
#include <initializer_list>
#include <vector>

namespace lmdeploy::cli {

// While one of these lives, its signals are counted here and do nothing else. At most one at a time
// per signal; afterwards the signal does again what it does by default.
class SignalPipe {
 public:
  explicit SignalPipe(std::initializer_list<int> signals);
  ~SignalPipe();
  SignalPipe(const SignalPipe&) = delete;
  SignalPipe& operator=(const SignalPipe&) = delete;

  bool take();                                          // whether one came since the last call
  int descriptor() const noexcept { return pipe_[0]; }  // readable while take() would be true

 private:
  std::vector<int> signals_;
  int pipe_[2];
};

// Ctrl-C does not end the process but is counted.
class Interrupts : public SignalPipe {
 public:
  Interrupts();
};

}  // namespace lmdeploy::cli
