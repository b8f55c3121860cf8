#pragma once
#include <cstdint>
#include <span>

namespace lmdeploy {

// Says which tokens an answer may have next, given those it has: what an answer's form (a grammar) is to the
// engine. One for each answer. The engine calls it from its workers, one call at a time.
class TokenMask {
 public:
  virtual ~TokenMask() = default;

  // What may come next: bit id % 32 of mask[id / 32], of all ids that the mask has room for. False where the
  // answer is whole, so that nothing but its end may come. Throws Error where nothing may come at all, or
  // where finding out takes too much.
  virtual bool fill(std::span<std::uint32_t> mask) = 0;

  // The answer goes on with a token that the last fill() allowed.
  virtual void accept(std::int32_t token) = 0;
};

}  // namespace lmdeploy
