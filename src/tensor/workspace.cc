#include "tensor/workspace.h"

#include <algorithm>

namespace lmdeploy {
namespace {

constexpr std::size_t kAlignment = 64;
constexpr std::size_t kMinChunkBytes = std::size_t{4} << 20;

}  // namespace

Workspace::Workspace(Allocator& allocator, std::size_t first_bytes) : allocator_(&allocator) {
  if (first_bytes > 0) chunks_.push_back({allocator.allocate(first_bytes), 0});
}

View Workspace::take(DType dtype, Shape shape) {
  View view(nullptr, dtype, shape);
  const std::size_t bytes =
      (static_cast<std::size_t>(view.bytes()) + kAlignment - 1) / kAlignment * kAlignment;
  while (current_ < chunks_.size() && chunks_[current_].memory.bytes() - chunks_[current_].used_bytes < bytes)
    current_++;
  if (current_ == chunks_.size())
    // At least as much as all others have: what grows by one row from step to step (logits) then needs a
    // new chunk seldom, and what is not used does not become resident.
    chunks_.push_back({allocator_->allocate(std::max({bytes, kMinChunkBytes, reserved_bytes()})), 0});
  Chunk& chunk = chunks_[current_];
  view.data = static_cast<char*>(chunk.memory.data()) + chunk.used_bytes;
  chunk.used_bytes += bytes;
  peak_bytes_ = std::max(peak_bytes_, used_bytes());
  return view;
}

std::size_t Workspace::reserved_bytes() const noexcept {
  std::size_t bytes = 0;
  for (const Chunk& chunk : chunks_) bytes += chunk.memory.bytes();
  return bytes;
}

std::size_t Workspace::used_bytes() const noexcept {
  std::size_t bytes = 0;
  for (const Chunk& chunk : chunks_) bytes += chunk.used_bytes;
  return bytes;
}

Workspace::Scope::Mark Workspace::mark() const noexcept {
  return {current_, current_ < chunks_.size() ? chunks_[current_].used_bytes : 0};
}

void Workspace::reset(const Scope::Mark& mark) noexcept {
  for (std::size_t i = mark.chunk_idx + 1; i < chunks_.size(); i++) chunks_[i].used_bytes = 0;
  current_ = mark.chunk_idx;
  if (current_ < chunks_.size()) chunks_[current_].used_bytes = mark.used_bytes;
}

}  // namespace lmdeploy
