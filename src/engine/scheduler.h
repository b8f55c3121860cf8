#pragma once
#include <cstdint>
#include <deque>
#include <span>
#include <vector>

#include "engine/prefix_cache.h"
#include "engine/sequence.h"
#include "engine/step_cost.h"

namespace lmdeploy {

// Prompt tokens of a step on the CPU: with more rows than this a linear layer gets no faster per row, only
// the step longer.
inline constexpr std::int32_t kMaxPromptTokens = 512;

struct SchedulerOptions {
  std::int32_t num_blocks = 0;
  std::int32_t block_len = 64;
  std::int32_t max_batch_size = 128;  // sequences that hold blocks
  // Prompt tokens of a step: at most, and at least, whatever they take.
  std::int32_t max_prompt_tokens = kMaxPromptTokens;
  std::int32_t min_prompt_tokens = 4;
  // Predicted duration up to which prompts fill a step: who arrives or aborts meanwhile waits for its end.
  double max_step_ms = 500;
  // Where answers run the step is the pause that their readers see: prompts may make it so many times as
  // long. Where the answers alone take longer than max_step_ms, the lower bound holds: a prompt keeps going.
  double max_slowdown = 2;
  double min_slowdown = 1.5;
  // So many prompt tokens may make the pause longer than that, up to max_step_ms.
  std::int32_t unpaced_prompt_tokens = 0;
  std::int32_t decodes_only_interval = 16;        // of steps with decodes, one in so many has no prompts
  StepCost cost = {.step_ms = 1, .token_ms = 1};  // until set_cost()
  bool enable_prefix_caching = false;
  HashKey hash_key = {};
};

// One sequence's part of a step: computes its tokens [first, first + num_tokens).
struct Chunk {
  Sequence* sequence = nullptr;
  std::int32_t first = 0;
  std::int32_t num_tokens = 0;
  bool draws = false;  // it reaches the end of the sequence: a token is drawn
  // Where its only token is pending: which draw of the step before it is. Otherwise -1.
  std::int32_t pending_draw = -1;
  std::int32_t num_preemptions = 0;  // of the sequence, so far: what is computed is lost with the next
};

struct StepPlan {
  std::vector<Chunk> chunks;
  std::int32_t num_drawn = 0;  // chunks that draw
  StepWork work = {};
  std::int32_t num_prompt_tokens = 0;     // tokens of the chunks that are no decodes
  std::vector<Sequence*> admitted = {};   // they got their blocks for this step
  std::vector<Sequence*> preempted = {};  // they lost them to it
};

// Continuous batching with chunked prefill, deterministic: what a step costs is a value that it is told.
// First come, first served: who came earlier is admitted earlier and preempted later. In each step the
// decodes go first and prompts fill what is left of the predicted time. Where blocks run out the sequence
// that came last gives all of its own back and is computed again later, except for what the prefix cache
// still has by then; its drawn tokens stay. The first sequence can thus always go on, provided that its
// max_len fits the pool (CHECKed by add()): no deadlock, no starvation.
//
// The next step may be planned before the last one is committed. Until then a sequence that is in both goes
// on behind a token that nobody knows yet; one that ends by that token has been planned once too often, and
// its part of the later step is dropped. Work of later steps comes later on the device, so blocks that a
// sequence gives back can be given out at once, whatever is in flight.
//
// Where a sequence that runs is just computing the beginning of the next in the queue, the queue waits for
// it. That costs nothing: prompts are computed in order of arrival, so its own would come later anyway.
//
// Sequences belong to the caller and must outlive their stay.
class Scheduler {
 public:
  explicit Scheduler(const SchedulerOptions& options);

  // Longest Sequence::max_len that add() takes.
  std::int64_t max_len() const noexcept;

  void set_cost(const StepCost& cost) noexcept { options_.cost = cost; }

  void add(Sequence& sequence);

  // Decides the next step and takes the blocks for it. Empty only when there is nothing to do, or nothing
  // before the step in flight is committed, of which there is one at most. What follows is commit(), in the
  // order of the plans, or remove() of the sequences whose computation failed.
  StepPlan schedule();

  // The step was computed; tokens has one entry for each chunk that draws, in order, and -1 stands for a
  // failed draw. Sequences that end get a finish_reason and have left with their blocks when this returns;
  // those that had one before are passed over.
  void commit(const StepPlan& plan, std::span<const TokenId> tokens);

  // Ends a sequence, in whatever phase, and takes its blocks. What was committed of it stays cached.
  void remove(Sequence& sequence, FinishReason reason);

  // Forgets all sequences, without looking at them, and all that was cached.
  void reset() noexcept;

  // The blocks that steps to come write to first: those that were never handed out and will be next, then
  // those that the prompts under way come to; at most `count` of each.
  void list_next_blocks(std::int32_t count, std::vector<std::int32_t>& result) const;

  bool idle() const noexcept { return running_.empty() && waiting_.empty(); }
  std::int32_t num_running() const noexcept { return static_cast<std::int32_t>(running_.size()); }
  std::int32_t num_waiting() const noexcept { return static_cast<std::int32_t>(waiting_.size()); }
  std::int64_t num_waiting_tokens() const noexcept { return num_waiting_tokens_; }
  std::uint64_t num_preemptions() const noexcept { return num_preemptions_; }
  std::uint64_t num_cache_query_tokens() const noexcept { return num_cache_query_tokens_; }
  std::uint64_t num_cache_hit_tokens() const noexcept { return num_cache_hit_tokens_; }
  const BlockManager& blocks() const noexcept { return cache_.blocks(); }

 private:
  void schedule_decodes(StepPlan& plan);
  void start(const StepPlan& plan);
  bool is_for_decodes_only(const StepPlan& plan) noexcept;
  void schedule_prefills(StepPlan& plan);
  double max_ms(const StepWork& decodes) const noexcept;
  std::int32_t chunk_len(const StepPlan& plan, double paced_ms, std::int32_t first, std::int32_t len) const;
  bool make_room(StepPlan& plan, Sequence& sequence);
  bool can_admit(const Sequence& sequence, const PrefixCache::Match& match) const noexcept;
  void admit_first(StepPlan& plan, const PrefixCache::Match& match);
  void preempt_last(StepPlan& plan);
  void commit_chunk(const Chunk& chunk, TokenId token);

  SchedulerOptions options_;
  PrefixCache cache_;
  std::vector<Sequence*> running_;  // hold blocks; in order of arrival
  std::deque<Sequence*> waiting_;   // hold none; all came after those that run
  std::int64_t num_waiting_tokens_ = 0;
  std::uint64_t num_preemptions_ = 0;
  std::int64_t num_steps_with_decodes_ = 0;
  std::uint64_t num_cache_query_tokens_ = 0;
  std::uint64_t num_cache_hit_tokens_ = 0;
};

}  // namespace lmdeploy
