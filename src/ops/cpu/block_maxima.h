#pragma once
#include <algorithm>
#include <cstdint>
#include <functional>
#include <limits>
#include <vector>

#include "ops/cpu/kernels.h"

namespace lmdeploy::ops::cpu {

// The largest element of every 64 of a row. Whoever looks for large elements reads the row once, fast, and
// then only the blocks that have one.
class BlockMaxima {
 public:
  BlockMaxima(const Kernels& k, const float* x, std::int64_t count) : x_(x), count_(count) {
    maxima_.reserve(static_cast<std::size_t>((count + kBlockLen - 1) / kBlockLen));
    for (std::int64_t i = 0; i < count; i += kBlockLen)
      maxima_.push_back(k.max(x + i, std::min(kBlockLen, count - i)));
  }

  // A value that at least `num` elements reach, since as many blocks have one; -inf where there are fewer
  // blocks.
  float reached_by(std::int64_t num) const {
    if (num > static_cast<std::int64_t>(maxima_.size())) return -std::numeric_limits<float>::infinity();
    std::vector<float> maxima = maxima_;
    const auto last = maxima.begin() + num - 1;
    std::nth_element(maxima.begin(), last, maxima.end(), std::greater<>());
    return *last;
  }

  // Ascending, of the elements that are at least `floor`.
  std::vector<std::int32_t> ids_from(float floor) const {
    std::vector<std::int32_t> ids;
    for (std::size_t block = 0; block < maxima_.size(); block++) {
      if (maxima_[block] < floor) continue;
      const std::int64_t begin = static_cast<std::int64_t>(block) * kBlockLen;
      for (std::int64_t i = begin; i < std::min(count_, begin + kBlockLen); i++)
        if (x_[i] >= floor) ids.push_back(static_cast<std::int32_t>(i));
    }
    return ids;
  }

 private:
  static constexpr std::int64_t kBlockLen = 64;
  const float* x_;
  std::int64_t count_;
  std::vector<float> maxima_;
};

}  // namespace lmdeploy::ops::cpu
