#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "engine/request.h"

namespace lmdeploy {

// One prompt's embedding, gathered while its chunks are computed. The mean is summed in double, in the order
// of the positions, so that it does not depend on the chunks; what a preemption makes compute again does not
// count again.
class PromptPooling {
 public:
  PromptPooling(Pooling pooling, std::int32_t prompt_len)
      : pooling_(pooling), prompt_len_(prompt_len), next_(pooling == Pooling::last ? prompt_len - 1 : 0) {}

  // Positions whose hidden states are wanted among [first, end): [next(), next() + num_wanted(end)).
  std::int32_t next() const noexcept { return next_; }
  std::int32_t num_wanted(std::int32_t end) const noexcept {
    return std::max(0, std::min(end, prompt_len_) - next_);
  }

  // hidden: [hidden_size] of position next(), which moves on.
  void add(std::span<const float> hidden) {
    sums_.resize(hidden.size());
    for (std::size_t i = 0; i < hidden.size(); i++) sums_[i] += static_cast<double>(hidden[i]);
    next_++;
  }

  bool is_finite() const {
    return std::all_of(sums_.begin(), sums_.end(), [](double sum) { return std::isfinite(sum); });
  }

  // Behind the prompt's last position.
  std::shared_ptr<const std::vector<float>> embedding() const {
    const double count = pooling_ == Pooling::mean ? prompt_len_ : 1;
    std::vector<float> values;
    values.reserve(sums_.size());
    for (const double sum : sums_) values.push_back(static_cast<float>(sum / count));
    return std::make_shared<const std::vector<float>>(std::move(values));
  }

 private:
  Pooling pooling_;
  std::int32_t prompt_len_;
  std::int32_t next_;
  std::vector<double> sums_;  // [hidden_size]
};

}  // namespace lmdeploy
