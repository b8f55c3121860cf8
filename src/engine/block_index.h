#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "engine/keyed_hash.h"
#include "engine/request.h"

namespace lmdeploy {

// What a full block stands for: its own tokens, and through its parent all that came before them.
struct BlockContent {
  std::int32_t parent = -1;         // the block of the tokens before; -1: the sequence begins here
  std::string_view salt;            // Request::cache_salt
  std::span<const TokenId> tokens;  // [block_len]
};

// Finds the block that stands for given tokens. It cannot take one prompt for another, whoever wrote them: a
// hit is decided by comparing token ids, with the parent found in the same way before and the salt compared
// at the beginning. The hash only narrows the search. It is keyed, because with a known one (CVE-2025-25183
// of vLLM: Python's) prompts can be made to meet in one bucket.
class BlockIndex {
 public:
  BlockIndex(std::int32_t num_blocks, std::int32_t block_len, const HashKey& key);

  bool contains(std::int32_t block) const noexcept { return entry(block).is_used; }
  std::int32_t parent(std::int32_t block) const noexcept { return entry(block).parent; }
  std::int32_t find(const BlockContent& content) const;  // -1: none

  // A block has one content, and a content one block.
  void insert(std::int32_t block, const BlockContent& content);
  void erase(std::int32_t block);
  void clear() noexcept;

 private:
  struct Entry {
    bool is_used = false;
    std::int32_t parent = -1;
    std::uint64_t hash = 0;
    std::string salt;  // empty where there is a parent, which has one
  };
  const Entry& entry(std::int32_t block) const noexcept { return entries_[static_cast<std::size_t>(block)]; }
  TokenId* tokens(std::int32_t block) const noexcept {
    return tokens_.get() + std::int64_t{block} * block_len_;
  }
  std::uint64_t hash(const BlockContent& content) const;
  bool holds(std::int32_t block, const BlockContent& content) const;

  std::int32_t block_len_;
  HashKey key_;
  std::vector<Entry> entries_;         // [num_blocks]
  std::unique_ptr<TokenId[]> tokens_;  // [num_blocks, block_len]; a page becomes resident with its first use
  std::unordered_multimap<std::uint64_t, std::int32_t> by_hash_;
};

}  // namespace lmdeploy
