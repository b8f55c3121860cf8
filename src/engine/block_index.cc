#include "engine/block_index.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"

namespace lmdeploy {

BlockIndex::BlockIndex(std::int32_t num_blocks, std::int32_t block_len, const HashKey& key)
    : block_len_(block_len),
      key_(key),
      entries_(static_cast<std::size_t>(num_blocks)),
      tokens_(std::make_unique_for_overwrite<TokenId[]>(static_cast<std::size_t>(num_blocks) *
                                                        static_cast<std::size_t>(block_len))) {}

std::uint64_t BlockIndex::hash(const BlockContent& content) const {
  KeyedHash hash(key_);
  hash.add(static_cast<std::uint64_t>(content.parent));
  for (const TokenId token : content.tokens) hash.add(static_cast<std::uint64_t>(token));
  if (content.parent >= 0) return hash.value();
  for (std::size_t i = 0; i < content.salt.size(); i += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, content.salt.data() + i, std::min<std::size_t>(8, content.salt.size() - i));
    hash.add(word);
  }
  return hash.value();
}

bool BlockIndex::holds(std::int32_t block, const BlockContent& content) const {
  const Entry& e = entry(block);
  return e.parent == content.parent && (e.parent >= 0 || e.salt == content.salt) &&
         std::equal(content.tokens.begin(), content.tokens.end(), tokens(block));
}

std::int32_t BlockIndex::find(const BlockContent& content) const {
  CHECK(content.tokens.size() == static_cast<std::size_t>(block_len_), "{} tokens", content.tokens.size());
  const auto [first, last] = by_hash_.equal_range(hash(content));
  const auto found =
      std::find_if(first, last, [&](const auto& candidate) { return holds(candidate.second, content); });
  return found == last ? -1 : found->second;
}

void BlockIndex::insert(std::int32_t block, const BlockContent& content) {
  CHECK(!contains(block) && find(content) < 0, "block {} or its content is known already", block);
  CHECK(content.parent < 0 || contains(content.parent), "block {} follows the unknown {}", block,
        content.parent);
  Entry& e = entries_[static_cast<std::size_t>(block)];
  e.parent = content.parent;
  e.hash = hash(content);
  e.salt = content.parent < 0 ? content.salt : std::string_view();
  std::copy(content.tokens.begin(), content.tokens.end(), tokens(block));
  by_hash_.emplace(e.hash, block);
  e.is_used = true;
}

void BlockIndex::erase(std::int32_t block) {
  CHECK(contains(block), "block {} has no content", block);
  const auto [first, last] = by_hash_.equal_range(entry(block).hash);
  by_hash_.erase(std::find_if(first, last, [&](const auto& candidate) { return candidate.second == block; }));
  entries_[static_cast<std::size_t>(block)] = {};
}

void BlockIndex::clear() noexcept {
  by_hash_.clear();
  for (Entry& e : entries_) e = {};
}

}  // namespace lmdeploy
