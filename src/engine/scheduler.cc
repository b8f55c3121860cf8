#include "engine/scheduler.h"

#include <algorithm>

#include "base/error.h"

namespace lmdeploy {
namespace {

bool decodes(const Sequence& sequence) {
  return sequence.num_uncomputed() == 1;
}

void append_chunk(StepPlan& plan, Sequence& sequence, std::int32_t num_tokens) {
  const bool draws = num_tokens == sequence.num_uncomputed();
  plan.chunks.push_back({&sequence, sequence.num_computed, num_tokens, draws});
  plan.num_drawn += draws ? 1 : 0;
}

FinishReason finish_reason_after(const Sequence& sequence, TokenId token) {
  const auto& stops = sequence.stop_token_ids;
  if (token < 0) return FinishReason::error;
  if (!sequence.ignore_stop && std::find(stops.begin(), stops.end(), token) != stops.end())
    return FinishReason::stop;
  return sequence.len() >= sequence.max_len ? FinishReason::length : FinishReason::none;
}

}  // namespace

Scheduler::Scheduler(const SchedulerOptions& options)
    : options_(options), blocks_(options.num_blocks, options.block_len) {
  CHECK(options.max_batch_size > 0 && options.prefill_chunk_len > 0 && options.mixed_chunk_len > 0,
        "max_batch_size {}, chunks of {} and {}", options.max_batch_size, options.prefill_chunk_len,
        options.mixed_chunk_len);
}

std::int64_t Scheduler::max_len() const noexcept {
  return std::int64_t{blocks_.num_blocks()} * blocks_.block_len();
}

void Scheduler::add(Sequence& sequence) {
  CHECK(sequence.prompt_len > 0 && sequence.len() < sequence.max_len && sequence.max_len <= max_len(),
        "prompt {}, max_len {}, pool {} tokens", sequence.prompt_len, sequence.max_len, max_len());
  waiting_.push_back(&sequence);
  num_waiting_tokens_ += sequence.len();
}

StepPlan Scheduler::schedule() {
  StepPlan plan;
  plan.chunks.reserve(running_.size() + 1);
  schedule_decodes(plan);
  schedule_prefills(plan);
  CHECK(idle() == plan.chunks.empty(), "{} run, {} wait, {} blocks free, nothing to do", num_running(),
        num_waiting(), blocks_.num_free());
  return plan;
}

void Scheduler::schedule_decodes(StepPlan& plan) {
  // A preemption shortens running_ from its end, where nothing has been scheduled yet.
  for (std::size_t i = 0; i < running_.size(); i++) {
    Sequence& sequence = *running_[i];
    if (decodes(sequence) && make_room(sequence)) append_chunk(plan, sequence, 1);
  }
}

void Scheduler::schedule_prefills(StepPlan& plan) {
  std::int32_t budget = prefill_budget(static_cast<std::int32_t>(plan.chunks.size()));
  const auto append = [&](Sequence& sequence) {
    const std::int32_t num_tokens = std::min(budget, sequence.num_uncomputed());
    append_chunk(plan, sequence, num_tokens);
    budget -= num_tokens;
  };
  for (Sequence* sequence : running_)
    if (budget > 0 && !decodes(*sequence)) append(*sequence);
  while (budget > 0 && !waiting_.empty() && can_admit(*waiting_.front())) {
    admit_first();
    append(*running_.back());
  }
}

std::int32_t Scheduler::prefill_budget(std::int32_t num_decodes) const noexcept {
  if (num_decodes == 0) return options_.prefill_chunk_len;
  const std::int32_t chunk_len = std::min(options_.mixed_chunk_len, options_.prefill_chunk_len);
  // However many decode, a prompt keeps going.
  return std::max(chunk_len - num_decodes, (chunk_len + 3) / 4);
}

// Gets the block that the sequence's last token needs, if necessary from those that came after it. False
// where the sequence itself was the last and had to go.
bool Scheduler::make_room(Sequence& sequence) {
  const std::int32_t missing =
      blocks_.blocks_for(sequence.len()) - static_cast<std::int32_t>(sequence.block_table.size());
  if (missing <= 0) return true;
  while (!blocks_.can_allocate(missing)) {
    const bool is_last = running_.back() == &sequence;
    preempt_last();
    if (is_last) return false;
  }
  blocks_.allocate(missing, sequence.block_table);
  return true;
}

bool Scheduler::can_admit(const Sequence& sequence) const noexcept {
  if (num_running() >= options_.max_batch_size) return false;
  // One block of headroom for each that runs: who comes in should not be preempted at once.
  return blocks_.can_allocate(blocks_.blocks_for(sequence.len()) + num_running());
}

void Scheduler::admit_first() {
  Sequence& sequence = *waiting_.front();
  blocks_.allocate(blocks_.blocks_for(sequence.len()), sequence.block_table);
  running_.push_back(&sequence);
  waiting_.pop_front();
  num_waiting_tokens_ -= sequence.len();
}

void Scheduler::preempt_last() {
  Sequence& sequence = *running_.back();
  blocks_.release(sequence.block_table);
  sequence.num_computed = 0;
  waiting_.push_front(&sequence);
  running_.pop_back();
  num_waiting_tokens_ += sequence.len();
  num_preemptions_++;
}

void Scheduler::commit(const StepPlan& plan, std::span<const TokenId> tokens) {
  CHECK(static_cast<std::size_t>(plan.num_drawn) == tokens.size(), "{} draws, {} tokens", plan.num_drawn,
        tokens.size());
  std::size_t draw_idx = 0;
  for (const Chunk& chunk : plan.chunks) {
    Sequence& sequence = *chunk.sequence;
    sequence.num_computed += chunk.num_tokens;
    if (!chunk.draws) continue;
    const TokenId token = tokens[draw_idx++];
    if (token >= 0) sequence.token_ids.push_back(token);
    sequence.finish_reason = finish_reason_after(sequence, token);
    if (sequence.finish_reason != FinishReason::none) remove(sequence);
  }
}

void Scheduler::remove(Sequence& sequence) {
  if (std::erase(running_, &sequence) > 0) {
    blocks_.release(sequence.block_table);
  } else {
    CHECK(std::erase(waiting_, &sequence) == 1, "request {} is not here", sequence.id);
    num_waiting_tokens_ -= sequence.len();
  }
}

void Scheduler::reset() noexcept {
  running_.clear();
  waiting_.clear();
  num_waiting_tokens_ = 0;
  blocks_.reset();
}

}  // namespace lmdeploy
