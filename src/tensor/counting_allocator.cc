#include "tensor/counting_allocator.h"

#include <utility>

namespace lmdeploy {

Allocation CountingAllocator::allocate(std::size_t bytes) {
  Allocation piece = source_.allocate(bytes);
  void* data = piece.data();
  pieces_.emplace(data, std::move(piece));
  held_bytes_ += static_cast<std::int64_t>(bytes);
  return {this, data, bytes};
}

void CountingAllocator::deallocate(void* data, std::size_t bytes) noexcept {
  pieces_.erase(data);
  held_bytes_ -= static_cast<std::int64_t>(bytes);
}

}  // namespace lmdeploy
