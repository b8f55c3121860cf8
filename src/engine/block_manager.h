#pragma once
#include <cstdint>
#include <vector>

#include "engine/block_index.h"
#include "engine/lru_list.h"

namespace lmdeploy {

// Which blocks of the KV pool belong to whom; integers only. Ask (can_allocate), then act (allocate). A block
// may have several owners: each holds one reference. What the last one gives back is free, or, where the
// block has a content by which it may be found again, cached: as available as a free one, but kept for as
// long as free ones are left, and then evicted in the order of last use.
//
// An owner holds the parents of its blocks too and gives the children back first. So a parent is evicted
// after its children, and no child is ever found under a parent that stands for something else by now.
class BlockManager {
 public:
  BlockManager(std::int32_t num_blocks, std::int32_t block_len, const HashKey& key = {});

  std::int32_t num_blocks() const noexcept { return static_cast<std::int32_t>(num_refs_.size()); }
  std::int32_t block_len() const noexcept { return block_len_; }
  std::int32_t num_free() const noexcept { return static_cast<std::int32_t>(free_.size()); }
  std::int32_t num_cached() const noexcept { return cached_.size(); }
  std::int32_t num_available() const noexcept { return num_free() + num_cached(); }
  std::int32_t num_used() const noexcept { return num_blocks() - num_available(); }
  // Blocks from this one on were never handed out: nothing has been written to them yet.
  std::int32_t high_water() const noexcept { return high_water_; }
  std::int32_t num_refs(std::int32_t block) const { return num_refs_.at(static_cast<std::size_t>(block)); }

  // Blocks that hold num_tokens tokens.
  std::int32_t blocks_for(std::int64_t num_tokens) const noexcept;

  bool can_allocate(std::int32_t count) const noexcept { return count <= num_available(); }

  // Appends `count` blocks with one reference each and no content to the table. CHECKs can_allocate(count).
  void allocate(std::int32_t count, std::vector<std::int32_t>& block_table);

  // Adds an owner to a block that is in use or cached.
  void retain(std::int32_t block);

  // Gives back one reference to each block of the table, the last block first, and empties it.
  void release(std::vector<std::int32_t>& block_table);
  void release(std::int32_t block);

  // The contents; see BlockIndex. A content is set and erased while its block is in use.
  std::int32_t find(const BlockContent& content) const { return index_.find(content); }
  bool has_content(std::int32_t block) const noexcept { return index_.contains(block); }
  void set_content(std::int32_t block, const BlockContent& content);
  void erase_content(std::int32_t block);

  // Forgets all references and contents: every block is free again.
  void reset() noexcept;

  // CHECKs that every block is free, cached or in use, free + cached + in use == total, and that nobody comes
  // before its parent in the order of eviction.
  void check_integrity() const;

 private:
  std::int32_t block_len_;
  std::vector<std::int32_t> num_refs_;  // [num_blocks]
  // A stack: the block that was freed last is handed out first, so that without contents the cache's resident
  // pages grow to what is used at once and no further.
  std::vector<std::int32_t> free_;
  std::int32_t high_water_ = 0;
  LruList cached_;
  BlockIndex index_;
};

}  // namespace lmdeploy
