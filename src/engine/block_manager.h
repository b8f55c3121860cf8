#pragma once
#include <cstdint>
#include <vector>

namespace lmdeploy {

// Which blocks of the KV pool belong to whom; integers only. Ask (can_allocate), then act (allocate). A block
// may have several owners: each holds one reference, the last to release it frees it.
class BlockManager {
 public:
  BlockManager(std::int32_t num_blocks, std::int32_t block_len);

  std::int32_t num_blocks() const noexcept { return static_cast<std::int32_t>(num_refs_.size()); }
  std::int32_t block_len() const noexcept { return block_len_; }
  std::int32_t num_free() const noexcept { return static_cast<std::int32_t>(free_.size()); }
  std::int32_t num_used() const noexcept { return num_blocks() - num_free(); }

  // Blocks that hold num_tokens tokens.
  std::int32_t blocks_for(std::int64_t num_tokens) const noexcept;

  bool can_allocate(std::int32_t count) const noexcept { return count <= num_free(); }

  // Appends `count` blocks with one reference each to the table. CHECKs can_allocate(count).
  void allocate(std::int32_t count, std::vector<std::int32_t>& block_table);

  // Adds an owner to a block that is in use.
  void retain(std::int32_t block);

  // Gives back one reference to each block of the table and empties it.
  void release(std::vector<std::int32_t>& block_table);

  // Forgets all references: every block is free again.
  void reset() noexcept;

  // CHECKs that every block is either free once or referenced: free + in use == total.
  void check_integrity() const;

 private:
  std::int32_t block_len_;
  std::vector<std::int32_t> num_refs_;  // [num_blocks]
  // A stack: the block that was freed last is handed out first, so that the cache's resident pages grow to
  // what is used at once and no further.
  std::vector<std::int32_t> free_;
};

}  // namespace lmdeploy
