#pragma once
#include <cstdint>
#include <unordered_map>

#include "tensor/allocator.h"

namespace lmdeploy {

// Another allocator's memory, with the sum of what is held: of pieces of at least half a page in whole pages,
// as smaller ones share theirs. One thread at a time.
class CountingAllocator final : public Allocator {
 public:
  explicit CountingAllocator(Allocator& source, std::size_t page_bytes = 1)
      : source_(source), page_bytes_(page_bytes) {}

  Allocation allocate(std::size_t bytes) override;
  std::int64_t held_bytes() const noexcept { return held_bytes_; }

 private:
  std::int64_t counted(std::size_t bytes) const noexcept;
  void deallocate(void* data, std::size_t bytes) noexcept override;

  Allocator& source_;
  std::size_t page_bytes_;
  std::unordered_map<void*, Allocation> pieces_;
  std::int64_t held_bytes_ = 0;
};

}  // namespace lmdeploy
