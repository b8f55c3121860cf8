#pragma once
#include <cstdint>

namespace lmdeploy::ops::cuda {

// RMSNorm on the way of x into a kernel of few tokens, whose x is f32 then: k a multiple of 4, rows of x and
// the weight aligned to 16 bytes. Without a weight x comes as it is, of the matrix' type.
struct PrologueNorm {
  const float* weight = nullptr;  // [k]
  float eps = 0;
};

// Every block norms all tokens: of more of them a kernel of its own is quicker.
inline constexpr int kMaxNormedTokens = 3;
inline constexpr std::int64_t kMaxNormedInputs = 8192;  // what a block's threads hold

}  // namespace lmdeploy::ops::cuda
