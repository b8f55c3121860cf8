#pragma once
#include <cstdint>
#include <deque>
#include <span>
#include <vector>

#include "engine/block_manager.h"
#include "engine/sequence.h"

namespace lmdeploy {

struct SchedulerOptions {
  std::int32_t num_blocks = 0;
  std::int32_t block_len = 64;
  std::int32_t max_batch_size = 128;  // sequences that hold blocks
  // Prompt tokens of a step in which nothing decodes, and of one in which running answers wait for it: there
  // the step's duration is the pause that their readers see.
  std::int32_t prefill_chunk_len = 512;
  std::int32_t mixed_chunk_len = 128;
};

// One sequence's part of a step: computes token_ids[first, first + num_tokens).
struct Chunk {
  Sequence* sequence = nullptr;
  std::int32_t first = 0;
  std::int32_t num_tokens = 0;
  bool draws = false;  // it reaches the end of token_ids: a token is drawn
};

struct StepPlan {
  std::vector<Chunk> chunks;
  std::int32_t num_drawn = 0;  // chunks that draw
};

// Continuous batching with chunked prefill, in integers and deterministic. First come, first served: who came
// earlier is admitted earlier and preempted later. In each step the decodes go first and prompts fill what is
// left of the token budget. Where blocks run out the sequence that came last gives all of its own back and
// is computed again later; its drawn tokens stay. The first sequence can thus always go on, provided that its
// max_len fits the pool (CHECKed by add()): no deadlock, no starvation.
//
// Sequences belong to the caller and must outlive their stay.
class Scheduler {
 public:
  explicit Scheduler(const SchedulerOptions& options);

  // Longest Sequence::max_len that add() takes.
  std::int64_t max_len() const noexcept;

  void add(Sequence& sequence);

  // Decides the next step and takes the blocks for it. Empty only when there is nothing to do. What follows
  // is commit(), or remove() of the sequences whose computation failed.
  StepPlan schedule();

  // The step was computed; tokens has one entry for each chunk that draws, in order, and -1 stands for a
  // failed draw. Sequences that end get a finish_reason and have left with their blocks when this returns.
  void commit(const StepPlan& plan, std::span<const TokenId> tokens);

  // Takes a sequence out, in whatever phase, with its blocks.
  void remove(Sequence& sequence);

  // Forgets all sequences, without looking at them; every block is free again.
  void reset() noexcept;

  bool idle() const noexcept { return running_.empty() && waiting_.empty(); }
  std::int32_t num_running() const noexcept { return static_cast<std::int32_t>(running_.size()); }
  std::int32_t num_waiting() const noexcept { return static_cast<std::int32_t>(waiting_.size()); }
  std::int64_t num_waiting_tokens() const noexcept { return num_waiting_tokens_; }
  std::uint64_t num_preemptions() const noexcept { return num_preemptions_; }
  const BlockManager& blocks() const noexcept { return blocks_; }

 private:
  void schedule_decodes(StepPlan& plan);
  void schedule_prefills(StepPlan& plan);
  std::int32_t prefill_budget(std::int32_t num_decodes) const noexcept;
  bool make_room(Sequence& sequence);
  bool can_admit(const Sequence& sequence) const noexcept;
  void admit_first();
  void preempt_last();

  SchedulerOptions options_;
  BlockManager blocks_;
  std::vector<Sequence*> running_;  // hold blocks; in order of arrival
  std::deque<Sequence*> waiting_;   // hold none; all came after those that run
  std::int64_t num_waiting_tokens_ = 0;
  std::uint64_t num_preemptions_ = 0;
};

}  // namespace lmdeploy
