#pragma once
#include <cstdint>
#include <vector>

#include "engine/block_manager.h"
#include "engine/sequence.h"

namespace lmdeploy {

// Keys and values of common beginnings, computed once. Only full blocks are shared, and they are never
// written again. A sequence announces its full blocks when it is admitted, so that another with the same
// beginning can wait for them instead of computing them too; it publishes them when they are computed, also
// those that its answer fills.
//
// The blocks that sequences hold, and all that is known of them, change through this class only.
class PrefixCache {
 public:
  struct Options {
    std::int32_t num_blocks = 0;
    std::int32_t block_len = 0;
    bool is_enabled = false;  // otherwise nothing is announced, published or found
    HashKey hash_key = {};
  };
  explicit PrefixCache(const Options& options);

  const BlockManager& blocks() const noexcept { return blocks_; }

  // What there is of a sequence's beginning, all of whose tokens are known. At least the last token is left
  // to compute: a draw needs logits.
  struct Match {
    std::vector<std::int32_t> blocks;  // from position 0 on; not retained yet
    std::int32_t num_unused = 0;       // of them, those that nobody uses: to take them lessens num_available
    bool is_coming = false;            // the block after them is being computed by a sequence that runs
  };
  Match find(const Sequence& sequence) const;

  // Blocks that admit() would take out of num_available.
  std::int32_t num_wanted(const Sequence& sequence, const Match& match) const noexcept;

  // Gives the sequence the match and new blocks for the rest of its tokens. CHECKs that these are available.
  void admit(Sequence& sequence, const Match& match);

  // More new blocks at the end of the table. CHECKs that these are available.
  void extend(Sequence& sequence, std::int32_t count);

  // num_committed has grown: from now on the blocks that are full by it can be found. Where another sequence
  // has published the same tokens meanwhile, this one goes on with that one's block and gives back its own:
  // they are equal, bit for bit, because no result depends on company or chunks.
  void publish(Sequence& sequence);

  // Takes all blocks from the sequence. Those that it published stay cached; what it had only announced is
  // forgotten, and whoever waits for it computes it himself.
  void release(Sequence& sequence);

  // Forgets everything, sequences included.
  void reset() noexcept { blocks_.reset(); }

 private:
  BlockContent content(const Sequence& sequence, std::int32_t block_idx, std::int32_t parent) const;
  std::int32_t parent_of(const Sequence& sequence, std::int32_t block_idx) const;
  void announce(Sequence& sequence);

  bool is_enabled_;
  BlockManager blocks_;
  std::vector<bool> is_computed_;  // [num_blocks]; of blocks with a content: published, not just announced
};

}  // namespace lmdeploy
