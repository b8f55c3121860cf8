#pragma once
#include <cstdint>
#include <unordered_map>

#include "tensor/allocator.h"

namespace lmdeploy {

// Another allocator's memory, with the sum of what is held. One thread at a time.
class CountingAllocator final : public Allocator {
 public:
  explicit CountingAllocator(Allocator& source) : source_(source) {}

  Allocation allocate(std::size_t bytes) override;
  std::int64_t held_bytes() const noexcept { return held_bytes_; }

 private:
  void deallocate(void* data, std::size_t bytes) noexcept override;

  Allocator& source_;
  std::unordered_map<void*, Allocation> pieces_;
  std::int64_t held_bytes_ = 0;
};

}  // namespace lmdeploy
