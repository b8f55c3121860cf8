#include "tensor/counting_allocator.h"

#include <utility>

namespace lmdeploy {

std::int64_t CountingAllocator::counted(std::size_t bytes) const noexcept {
  const bool fills_pages = bytes >= (page_bytes_ + 1) / 2;
  return static_cast<std::int64_t>(fills_pages ? (bytes + page_bytes_ - 1) / page_bytes_ * page_bytes_
                                               : bytes);
}

Allocation CountingAllocator::allocate(std::size_t bytes) {
  Allocation piece = source_.allocate(bytes);
  void* data = piece.data();
  pieces_.emplace(data, std::move(piece));
  held_bytes_ += counted(bytes);
  return {this, data, bytes};
}

void CountingAllocator::deallocate(void* data, std::size_t bytes) noexcept {
  pieces_.erase(data);
  held_bytes_ -= counted(bytes);
}

}  // namespace lmdeploy
