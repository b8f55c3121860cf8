#pragma once
#include <algorithm>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "engine/request.h"

namespace lmdeploy {

// The log probabilities of one request's prompt, gathered while its chunks are computed: the logits of
// position p score the token at p + 1. What a preemption makes compute again is not scored again.
class PromptScores {
 public:
  PromptScores(std::int32_t prompt_len, std::int32_t num_top)
      : num_positions_(prompt_len - 1), num_top_(num_top) {}

  std::int32_t num_top() const noexcept { return num_top_; }

  // Positions that are to be scored among [first, end): [next(), min(end, num_positions())).
  std::int32_t next() const noexcept { return static_cast<std::int32_t>(scores_.size()); }
  std::int32_t num_wanted(std::int32_t end) const noexcept {
    return std::max(0, std::min(end, num_positions_) - next());
  }

  void append(TokenScore score) { scores_.push_back(std::move(score)); }

  // Of the prompt from its second token on; to be called once.
  std::shared_ptr<const std::vector<TokenScore>> take() {
    return std::make_shared<const std::vector<TokenScore>>(std::move(scores_));
  }

 private:
  std::int32_t num_positions_;
  std::int32_t num_top_;
  std::vector<TokenScore> scores_;
};

}  // namespace lmdeploy
