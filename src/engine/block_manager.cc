#include "engine/block_manager.h"

#include <algorithm>

#include "base/error.h"

namespace lmdeploy {

BlockManager::BlockManager(std::int32_t num_blocks, std::int32_t block_len, const HashKey& key)
    : block_len_(block_len), cached_(num_blocks), index_(num_blocks, block_len, key) {
  CHECK(num_blocks > 0 && block_len > 0, "num_blocks {}, block_len {}", num_blocks, block_len);
  num_refs_.resize(static_cast<std::size_t>(num_blocks));
  free_.reserve(num_refs_.size());
  reset();
}

void BlockManager::reset() noexcept {
  std::fill(num_refs_.begin(), num_refs_.end(), 0);
  index_.clear();
  cached_.clear();
  free_.clear();
  for (std::int32_t block = num_blocks() - 1; block >= 0; block--) free_.push_back(block);
}

std::int32_t BlockManager::blocks_for(std::int64_t num_tokens) const noexcept {
  return static_cast<std::int32_t>((num_tokens + block_len_ - 1) / block_len_);
}

void BlockManager::allocate(std::int32_t count, std::vector<std::int32_t>& block_table) {
  CHECK(can_allocate(count), "{} blocks wanted, {} free, {} cached", count, num_free(), num_cached());
  for (std::int32_t i = 0; i < count; i++) {
    if (free_.empty()) {
      const std::int32_t evicted = cached_.oldest();
      index_.erase(evicted);
      cached_.remove(evicted);
      free_.push_back(evicted);
    }
    const std::int32_t block = free_.back();
    free_.pop_back();
    high_water_ = std::max(high_water_, block + 1);
    num_refs_[static_cast<std::size_t>(block)] = 1;
    block_table.push_back(block);
  }
}

void BlockManager::retain(std::int32_t block) {
  std::int32_t& num_refs = num_refs_.at(static_cast<std::size_t>(block));
  if (num_refs == 0) {
    CHECK(cached_.contains(block), "block {} is free", block);
    cached_.remove(block);
  }
  num_refs++;
}

void BlockManager::release(std::vector<std::int32_t>& block_table) {
  for (; !block_table.empty(); block_table.pop_back()) release(block_table.back());
}

void BlockManager::release(std::int32_t block) {
  std::int32_t& num_refs = num_refs_.at(static_cast<std::size_t>(block));
  CHECK(num_refs > 0, "block {} is free already", block);
  if (--num_refs > 0) return;
  if (has_content(block))
    cached_.add_newest(block);
  else
    free_.push_back(block);
}

void BlockManager::set_content(std::int32_t block, const BlockContent& content) {
  CHECK(num_refs(block) > 0, "block {} is not in use", block);
  index_.insert(block, content);
}

void BlockManager::erase_content(std::int32_t block) {
  CHECK(num_refs(block) > 0, "block {} is not in use", block);
  index_.erase(block);
}

void BlockManager::check_integrity() const {
  std::vector<bool> is_free(num_refs_.size(), false);
  for (const std::int32_t block : free_) {
    const auto i = static_cast<std::size_t>(block);
    CHECK(i < is_free.size() && !is_free[i], "block {} is free twice", block);
    is_free[i] = true;
  }
  std::vector<std::int32_t> age(num_refs_.size(), 0);  // 0: in use; 1: the last that would be evicted
  std::int32_t num_newer = num_cached();
  for (std::int32_t block = cached_.oldest(); block != cached_.end(); block = cached_.newer(block))
    age[static_cast<std::size_t>(block)] = num_newer--;
  CHECK(num_newer == 0, "{} blocks are cached, {} more were counted", num_cached(), num_newer);
  for (std::int32_t block = 0; block < num_blocks(); block++) {
    const auto i = static_cast<std::size_t>(block);
    const bool is_cached = cached_.contains(block);
    CHECK(int{is_free[i]} + int{is_cached} + int{num_refs_[i] > 0} == 1,
          "block {} has {} references, free: {}, cached: {}", block, num_refs_[i], is_free[i] ? "yes" : "no",
          is_cached ? "yes" : "no");
    CHECK(has_content(block) ? !is_free[i] : !is_cached, "block {}: free with a content or cached without",
          block);
    if (!has_content(block) || index_.parent(block) < 0) continue;
    const std::int32_t parent = index_.parent(block);
    CHECK(has_content(parent) && age[static_cast<std::size_t>(parent)] < std::max(age[i], 1),
          "block {} would outlive its parent {}", block, parent);
  }
}

}  // namespace lmdeploy
