#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "model/model.h"

namespace lmdeploy {

// Computes windows of a text one after another over the same cache blocks, each from an empty cache, slice by
// slice: the logits of one slice are all that is held.
class WindowRun {
 public:
  // window: tokens of the longest one. A slice has as many tokens as max_logits_bytes hold logits, at least
  // one and at most a window.
  WindowRun(Ctx& ctx, const Model& model, std::int32_t window, std::int64_t max_logits_bytes);

  std::int32_t slice_len() const noexcept { return slice_len_; }

  // Feeds tokens [begin, end) of a window, at most slice_len() of them; the ones before were fed by earlier
  // calls. Returns their logits, [end - begin, vocab_size] f32, which stay until the next call.
  View feed(std::span<const std::int32_t> window, std::int32_t begin, std::int32_t end);

 private:
  Ctx& ctx_;
  const Model& model_;
  KvPool pool_;
  std::vector<std::int32_t> block_table_;  // [num_blocks]
  std::int32_t slice_len_ = 0;             // tokens
  Tensor logits_;                          // [slice_len, vocab_size] f32
};

// Throws Error where there are fewer than two ids or one lies outside the vocabulary.
void check_window_ids(std::span<const std::int32_t> ids, std::int32_t vocab_size);

// How a text is cut: whole windows from its first token on, what is left over is not used. A text that is
// shorter than a window is one of its own length.
struct Windows {
  std::int32_t len = 0;  // tokens
  std::int64_t count = 0;

  std::span<const std::int32_t> get(std::span<const std::int32_t> ids, std::int64_t window_idx) const {
    return ids.subspan(static_cast<std::size_t>(window_idx * len), static_cast<std::size_t>(len));
  }
};
// max_windows: 0: all. Throws Error on a window below 2.
Windows cut_into_windows(std::int64_t num_ids, std::int32_t window, std::int64_t max_windows);

}  // namespace lmdeploy
