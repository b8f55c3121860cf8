#pragma once
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/token_mask.h"

namespace lmdeploy {

// What the form of one answer allows in its next draw, found out while the device computes the logits. The
// engine's thread says when; the work is done by whoever comes first, a worker or the engine's thread where
// it waits.
class DrawMask {
 public:
  // inner: the answer's, at its beginning.
  DrawMask(std::shared_ptr<TokenMask> inner, std::int32_t vocab_size);

  // Engine's thread. `token` was drawn since the last one; empty: none was. Then run() is due once.
  void begin(std::optional<std::int32_t> token);
  // Any thread. The work, unless another does it or has done it.
  void run() noexcept;
  // Engine's thread. Returns when the work is done.
  void wait() noexcept;

  // Behind wait(), until begin(). ops::SamplingRow::allowed_mask; nothing is allowed where there is an error.
  std::span<const std::uint32_t> words() const noexcept { return words_; }
  bool is_whole() const noexcept { return is_whole_; }  // nothing but the answer's end is allowed
  const std::string& error() const noexcept { return error_; }

 private:
  enum class State : std::uint8_t { due, running, done };

  void fill();

  const std::shared_ptr<TokenMask> inner_;
  std::atomic<State> state_{State::done};
  std::optional<std::int32_t> token_;
  std::vector<std::uint32_t> words_;  // [(vocab_size + 31) / 32], no bit beyond vocab_size
  std::uint32_t last_word_mask_;
  bool is_whole_ = false;
  std::string error_;
};

}  // namespace lmdeploy
