#pragma once
#include <cstdint>
#include <functional>
#include <vector>

namespace lmdeploy {

// Work of a device that comes again and again with the same addresses and sizes, and is then put there as one
// piece: launched kernel by kernel it would cost the host more than it costs the device.
class GraphCache {
 public:
  // What the work depends on: every size, address and count that its launches hold. What lies in memory may
  // change.
  using Key = std::vector<std::int64_t>;

  virtual ~GraphCache() = default;

  // Does the work that `put` would: by calling it the first time, when it may load kernels, choose algorithms
  // and take memory; by recording what it puts on the device the second time; without a call from then on.
  virtual void run(const Key& key, const std::function<void()>& put) = 0;
};

}  // namespace lmdeploy
