#include "engine/draw_mask.h"

#include <algorithm>
#include <exception>
#include <utility>

namespace lmdeploy {

DrawMask::DrawMask(std::shared_ptr<TokenMask> inner, std::int32_t vocab_size)
    : inner_(std::move(inner)),
      words_(static_cast<std::size_t>((vocab_size + 31) / 32)),
      last_word_mask_(vocab_size % 32 == 0 ? ~0U : (1U << (vocab_size % 32)) - 1) {}

void DrawMask::begin(std::optional<std::int32_t> token) {
  token_ = token;
  state_.store(State::due, std::memory_order_release);
}

void DrawMask::run() noexcept {
  State expected = State::due;
  if (!state_.compare_exchange_strong(expected, State::running, std::memory_order_acquire)) return;
  fill();
  state_.store(State::done, std::memory_order_release);
  state_.notify_one();
}

void DrawMask::wait() noexcept {
  run();
  while (state_.load(std::memory_order_acquire) == State::running)
    state_.wait(State::running, std::memory_order_acquire);
}

void DrawMask::fill() {
  try {
    if (token_) inner_->accept(*token_);
    is_whole_ = !inner_->fill(words_);
    words_.back() &= last_word_mask_;
  } catch (const std::exception& e) {
    std::ranges::fill(words_, 0U);
    error_ = e.what();
  }
}

}  // namespace lmdeploy
