#include "engine/prefix_cache.h"

#include "base/error.h"

namespace lmdeploy {

PrefixCache::PrefixCache(const Options& options)
    : is_enabled_(options.is_enabled),
      blocks_(options.num_blocks, options.block_len, options.hash_key),
      is_computed_(static_cast<std::size_t>(options.num_blocks)) {}

BlockContent PrefixCache::content(const Sequence& sequence, std::int32_t block_idx,
                                  std::int32_t parent) const {
  const auto block_len = static_cast<std::size_t>(blocks_.block_len());
  const auto first = static_cast<std::size_t>(block_idx) * block_len;
  return {parent, sequence.cache_salt, std::span(sequence.token_ids).subspan(first, block_len)};
}

std::int32_t PrefixCache::parent_of(const Sequence& sequence, std::int32_t block_idx) const {
  return block_idx == 0 ? -1 : sequence.block_table[static_cast<std::size_t>(block_idx) - 1];
}

PrefixCache::Match PrefixCache::find(const Sequence& sequence) const {
  Match match;
  if (!is_enabled_ || !sequence.reads_cache) return match;
  const std::int32_t max_blocks = (sequence.len() - 1) / blocks_.block_len();
  std::int32_t parent = -1;
  for (std::int32_t block_idx = 0; block_idx < max_blocks; block_idx++) {
    const std::int32_t block = blocks_.find(content(sequence, block_idx, parent));
    if (block < 0) break;
    match.is_coming = !is_computed_[static_cast<std::size_t>(block)];
    if (match.is_coming) break;
    match.blocks.push_back(block);
    match.num_unused += blocks_.num_refs(block) == 0 ? 1 : 0;
    parent = block;
  }
  return match;
}

std::int32_t PrefixCache::num_wanted(const Sequence& sequence, const Match& match) const noexcept {
  const auto num_found = static_cast<std::int32_t>(match.blocks.size());
  return blocks_.blocks_for(sequence.len()) - num_found + match.num_unused;
}

void PrefixCache::admit(Sequence& sequence, const Match& match) {
  CHECK(sequence.block_table.empty(), "request {} holds {} blocks", sequence.id, sequence.block_table.size());
  for (const std::int32_t block : match.blocks) blocks_.retain(block);
  sequence.block_table = match.blocks;
  sequence.num_shared = static_cast<std::int32_t>(match.blocks.size());
  sequence.num_computed = sequence.num_committed = sequence.num_shared * blocks_.block_len();
  extend(sequence, blocks_.blocks_for(sequence.len()) - sequence.num_shared);
  if (is_enabled_ && sequence.writes_cache) announce(sequence);
}

void PrefixCache::extend(Sequence& sequence, std::int32_t count) {
  blocks_.allocate(count, sequence.block_table);
}

// Up to the first block that is known already: one that publish() will have to share.
void PrefixCache::announce(Sequence& sequence) {
  const std::int32_t num_full = sequence.len() / blocks_.block_len();
  for (std::int32_t block_idx = sequence.num_shared; block_idx < num_full; block_idx++) {
    const BlockContent announced = content(sequence, block_idx, parent_of(sequence, block_idx));
    if (blocks_.find(announced) >= 0) return;
    const std::int32_t block = sequence.block_table[static_cast<std::size_t>(block_idx)];
    blocks_.set_content(block, announced);
    is_computed_[static_cast<std::size_t>(block)] = false;
  }
}

void PrefixCache::publish(Sequence& sequence) {
  if (!is_enabled_ || !sequence.writes_cache) return;
  const std::int32_t num_full = sequence.num_committed / blocks_.block_len();
  for (std::int32_t block_idx = sequence.num_shared; block_idx < num_full; block_idx++) {
    std::int32_t& block = sequence.block_table[static_cast<std::size_t>(block_idx)];
    const BlockContent published = content(sequence, block_idx, parent_of(sequence, block_idx));
    const std::int32_t holder = blocks_.find(published);
    if (holder < 0) blocks_.set_content(block, published);
    if (holder >= 0 && holder != block) {
      // Announced by one that runs and will be published by it, or forgotten with it: until then a child
      // of this block could not be found, so this sequence tries again after its next step.
      if (!is_computed_[static_cast<std::size_t>(holder)]) return;
      blocks_.retain(holder);
      blocks_.release(block);
      block = holder;
    }
    is_computed_[static_cast<std::size_t>(block)] = true;
    sequence.num_shared++;
  }
}

void PrefixCache::release(Sequence& sequence) {
  for (auto block_idx = static_cast<std::size_t>(sequence.num_shared);
       block_idx < sequence.block_table.size(); block_idx++)
    if (blocks_.has_content(sequence.block_table[block_idx]))
      blocks_.erase_content(sequence.block_table[block_idx]);
  sequence.num_shared = 0;
  blocks_.release(sequence.block_table);
}

}  // namespace lmdeploy
