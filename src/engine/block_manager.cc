#include "engine/block_manager.h"

#include <algorithm>

#include "base/error.h"

namespace lmdeploy {

BlockManager::BlockManager(std::int32_t num_blocks, std::int32_t block_len) : block_len_(block_len) {
  CHECK(num_blocks > 0 && block_len > 0, "num_blocks {}, block_len {}", num_blocks, block_len);
  num_refs_.resize(static_cast<std::size_t>(num_blocks));
  free_.reserve(num_refs_.size());
  reset();
}

void BlockManager::reset() noexcept {
  std::fill(num_refs_.begin(), num_refs_.end(), 0);
  free_.clear();
  for (std::int32_t block = num_blocks() - 1; block >= 0; block--) free_.push_back(block);
}

std::int32_t BlockManager::blocks_for(std::int64_t num_tokens) const noexcept {
  return static_cast<std::int32_t>((num_tokens + block_len_ - 1) / block_len_);
}

void BlockManager::allocate(std::int32_t count, std::vector<std::int32_t>& block_table) {
  CHECK(can_allocate(count), "{} blocks wanted, {} free", count, num_free());
  for (std::int32_t i = 0; i < count; i++) {
    const std::int32_t block = free_.back();
    free_.pop_back();
    num_refs_[static_cast<std::size_t>(block)] = 1;
    block_table.push_back(block);
  }
}

void BlockManager::retain(std::int32_t block) {
  std::int32_t& num_refs = num_refs_.at(static_cast<std::size_t>(block));
  CHECK(num_refs > 0, "block {} is free", block);
  num_refs++;
}

void BlockManager::release(std::vector<std::int32_t>& block_table) {
  while (!block_table.empty()) {
    const std::int32_t block = block_table.back();
    std::int32_t& num_refs = num_refs_.at(static_cast<std::size_t>(block));
    CHECK(num_refs > 0, "block {} is free already", block);
    block_table.pop_back();
    if (--num_refs == 0) free_.push_back(block);
  }
}

void BlockManager::check_integrity() const {
  std::vector<bool> is_free(num_refs_.size(), false);
  for (const std::int32_t block : free_) {
    const auto i = static_cast<std::size_t>(block);
    CHECK(i < is_free.size() && !is_free[i], "block {} is free twice", block);
    is_free[i] = true;
  }
  for (std::size_t i = 0; i < num_refs_.size(); i++)
    CHECK(is_free[i] == (num_refs_[i] == 0), "block {} has {} references, free: {}", i, num_refs_[i],
          is_free[i] ? "yes" : "no");
}

}  // namespace lmdeploy
