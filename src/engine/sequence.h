#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "engine/request.h"

namespace lmdeploy {

// The life of one request in integers. The KV of the last token is computed only in the step that draws its
// successor, so prefill, decode and recomputation after a preemption are one thing: a step computes positions
// from num_computed on, and one that reaches the end draws a token. A step may be planned while the one
// before it is in flight: the token that that one draws has its place already and is pending.
struct Sequence {
  RequestId id = 0;
  std::vector<TokenId> token_ids;  // prompt, then answer, without what is pending
  std::int32_t num_pending = 0;    // tokens behind them, one of each step in flight that draws
  std::int32_t pending_draw = -1;  // the last of these is this draw of its step
  std::int32_t prompt_len = 0;
  std::int32_t max_len = 0;  // of prompt and answer; it ends with finish_reason length there
  std::vector<TokenId> stop_token_ids;
  bool ignore_stop = false;
  std::string cache_salt;
  bool reads_cache = true;  // false: every position is computed; its blocks are there for others all the same
  bool writes_cache = true;  // false: nobody finds its blocks

  std::int32_t num_computed = 0;          // tokens whose keys and values the steps so far put into the blocks
  std::int32_t num_committed = 0;         // of these, those of the steps that are committed
  std::vector<std::int32_t> block_table;  // block of positions [i * block_len, (i + 1) * block_len)
  std::int32_t num_shared = 0;            // leading blocks of the table that others can find: never written
  FinishReason finish_reason = FinishReason::none;

  std::int32_t num_cached = -1;        // prompt tokens that the cache had; -1: not admitted yet
  std::int64_t num_computed_ever = 0;  // beyond num_computed, what preemptions have lost
  std::int32_t num_preemptions = 0;

  std::int32_t known_len() const noexcept { return static_cast<std::int32_t>(token_ids.size()); }
  std::int32_t len() const noexcept { return known_len() + num_pending; }
  std::int32_t answer_len() const noexcept { return known_len() - prompt_len; }
  std::int32_t num_uncomputed() const noexcept { return len() - num_computed; }
};

}  // namespace lmdeploy
