#include "engine/scheduler.h"

#include <algorithm>

#include "base/error.h"

namespace lmdeploy {
namespace {

bool decodes(const Sequence& sequence) {
  return sequence.num_uncomputed() == 1;
}

// Nothing is left to compute: its last token is being drawn.
bool is_at_end(const Sequence& sequence) {
  return sequence.len() == sequence.max_len;
}

void append_chunk(StepPlan& plan, Sequence& sequence, std::int32_t num_tokens) {
  const bool draws = num_tokens == sequence.num_uncomputed();
  const std::int32_t pending_draw = sequence.num_pending > 0 ? sequence.pending_draw : -1;
  plan.chunks.push_back(
      {&sequence, sequence.num_computed, num_tokens, draws, pending_draw, sequence.num_preemptions});
  plan.num_drawn += draws ? 1 : 0;
  plan.work.add(sequence.num_computed, num_tokens, draws);
}

void append_prompt(StepPlan& plan, Sequence& sequence, std::int32_t num_tokens) {
  append_chunk(plan, sequence, num_tokens);
  plan.num_prompt_tokens += num_tokens;
}

FinishReason finish_reason_after(const Sequence& sequence, TokenId token) {
  const auto& stops = sequence.stop_token_ids;
  if (token < 0) return FinishReason::error;
  if (!sequence.ignore_stop && std::find(stops.begin(), stops.end(), token) != stops.end())
    return FinishReason::stop;
  return sequence.known_len() >= sequence.max_len ? FinishReason::length : FinishReason::none;
}

}  // namespace

Scheduler::Scheduler(const SchedulerOptions& options)
    : options_(options),
      cache_({.num_blocks = options.num_blocks,
              .block_len = options.block_len,
              .is_enabled = options.enable_prefix_caching,
              .hash_key = options.hash_key}) {
  CHECK(options.max_batch_size > 0 && options.max_prompt_tokens > 0 && options.min_prompt_tokens > 0,
        "max_batch_size {}, prompt tokens of a step {} to {}", options.max_batch_size,
        options.min_prompt_tokens, options.max_prompt_tokens);
}

std::int64_t Scheduler::max_len() const noexcept {
  return std::int64_t{blocks().num_blocks()} * blocks().block_len();
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
  if (!is_for_decodes_only(plan)) schedule_prefills(plan);
  for (const Chunk& chunk : plan.chunks)
    CHECK(chunk.first >= chunk.sequence->num_shared * options_.block_len,
          "request {} would write a shared block", chunk.sequence->id);
  start(plan);
  return plan;
}

// From here on the step counts as computed, but for what needs its tokens.
void Scheduler::start(const StepPlan& plan) {
  std::int32_t draw = 0;
  for (const Chunk& chunk : plan.chunks) {
    chunk.sequence->num_computed += chunk.num_tokens;
    if (!chunk.draws) continue;
    chunk.sequence->num_pending++;
    chunk.sequence->pending_draw = draw++;
  }
}

void Scheduler::schedule_decodes(StepPlan& plan) {
  // A preemption shortens running_ from its end, where nothing has been scheduled yet.
  for (std::size_t i = 0; i < running_.size(); i++) {
    Sequence& sequence = *running_[i];
    if (decodes(sequence) && !is_at_end(sequence) && make_room(plan, sequence))
      append_chunk(plan, sequence, 1);
  }
}

// Now and then, so that what the decodes take is known from steps of their own: in a step with prompts it
// cannot be told from what the prompts take, and the pause is measured by it.
bool Scheduler::is_for_decodes_only(const StepPlan& plan) noexcept {
  if (plan.chunks.empty() || !decodes(*running_.front())) return false;
  return ++num_steps_with_decodes_ % options_.decodes_only_interval == 0;
}

void Scheduler::schedule_prefills(StepPlan& plan) {
  const double paced_ms = max_ms(plan.work);
  for (Sequence* sequence : running_) {
    if (decodes(*sequence)) continue;
    const std::int32_t len = chunk_len(plan, paced_ms, sequence->num_computed, sequence->num_uncomputed());
    if (len == 0) return;
    append_prompt(plan, *sequence, len);
  }
  // A place is asked for first: to find a prefix, all of it has to be hashed.
  while (!waiting_.empty() && num_running() < options_.max_batch_size) {
    Sequence& sequence = *waiting_.front();
    if (sequence.num_pending > 0) return;  // preempted: its last token is needed
    const PrefixCache::Match match = cache_.find(sequence);
    if (match.is_coming || !can_admit(sequence, match)) return;
    const auto first = static_cast<std::int32_t>(match.blocks.size()) * options_.block_len;
    const std::int32_t len = chunk_len(plan, paced_ms, first, sequence.len() - first);
    if (len == 0) return;
    admit_first(plan, match);
    append_prompt(plan, sequence, len);
  }
}

double Scheduler::max_ms(const StepWork& decodes) const noexcept {
  if (decodes.num_tokens == 0) return options_.max_step_ms;
  const double ms = options_.cost.predict(decodes);
  return std::min(options_.max_slowdown * ms, std::max(options_.max_step_ms, options_.min_slowdown * ms));
}

// How many of `len` tokens from position `first` on the step still takes; 0 where it is full.
std::int32_t Scheduler::chunk_len(const StepPlan& plan, double paced_ms, std::int32_t first,
                                  std::int32_t len) const {
  const auto fits = [&](std::int32_t num_tokens) {
    StepWork work = plan.work;
    work.add(first, num_tokens, num_tokens == len);
    const bool is_unpaced = plan.num_prompt_tokens + num_tokens <= options_.unpaced_prompt_tokens;
    return options_.cost.predict(work) <= (is_unpaced ? std::max(paced_ms, options_.max_step_ms) : paced_ms);
  };
  const std::int32_t most = std::min(len, options_.max_prompt_tokens - plan.num_prompt_tokens);
  const std::int32_t least = plan.num_prompt_tokens == 0 ? std::min(most, options_.min_prompt_tokens) : 0;
  std::int32_t fitting = least;
  for (std::int32_t too_many = most + 1; too_many - fitting > 1;) {
    const std::int32_t middle = fitting + (too_many - fitting) / 2;
    (fits(middle) ? fitting : too_many) = middle;
  }
  return fitting;
}

// Gets the block that the sequence's last token needs, if necessary from those that came after it. False
// where the sequence itself was the last and had to go.
bool Scheduler::make_room(StepPlan& plan, Sequence& sequence) {
  const std::int32_t missing =
      blocks().blocks_for(sequence.len()) - static_cast<std::int32_t>(sequence.block_table.size());
  if (missing <= 0) return true;
  while (!blocks().can_allocate(missing)) {
    const bool is_last = running_.back() == &sequence;
    preempt_last(plan);
    if (is_last) return false;
  }
  cache_.extend(sequence, missing);
  return true;
}

bool Scheduler::can_admit(const Sequence& sequence, const PrefixCache::Match& match) const noexcept {
  // One block of headroom for each that runs: who comes in should not be preempted at once.
  return blocks().can_allocate(cache_.num_wanted(sequence, match) + num_running());
}

void Scheduler::admit_first(StepPlan& plan, const PrefixCache::Match& match) {
  Sequence& sequence = *waiting_.front();
  cache_.admit(sequence, match);
  running_.push_back(&sequence);
  waiting_.pop_front();
  num_waiting_tokens_ -= sequence.len();
  plan.admitted.push_back(&sequence);
  if (sequence.num_cached >= 0) return;  // it was here before
  sequence.num_cached = sequence.num_computed;
  if (!options_.enable_prefix_caching || !sequence.reads_cache) return;
  num_cache_query_tokens_ += static_cast<std::uint64_t>(sequence.prompt_len);
  num_cache_hit_tokens_ += static_cast<std::uint64_t>(sequence.num_cached);
}

void Scheduler::preempt_last(StepPlan& plan) {
  Sequence& sequence = *running_.back();
  cache_.release(sequence);
  sequence.num_computed = sequence.num_committed = 0;
  sequence.num_preemptions++;
  waiting_.push_front(&sequence);
  running_.pop_back();
  num_waiting_tokens_ += sequence.len();
  plan.preempted.push_back(&sequence);
  num_preemptions_++;
}

void Scheduler::commit(const StepPlan& plan, std::span<const TokenId> tokens) {
  CHECK(static_cast<std::size_t>(plan.num_drawn) == tokens.size(), "{} draws, {} tokens", plan.num_drawn,
        tokens.size());
  std::size_t draw_idx = 0;
  for (const Chunk& chunk : plan.chunks) {
    const TokenId token = chunk.draws ? tokens[draw_idx++] : -1;
    if (chunk.sequence->finish_reason == FinishReason::none) commit_chunk(chunk, token);
  }
}

void Scheduler::commit_chunk(const Chunk& chunk, TokenId token) {
  Sequence& sequence = *chunk.sequence;
  sequence.num_computed_ever += chunk.num_tokens;
  FinishReason reason = FinishReason::none;
  if (chunk.draws) {
    if (token >= 0) {
      sequence.token_ids.push_back(token);
      sequence.num_pending--;
    }
    reason = finish_reason_after(sequence, token);
  }
  const bool was_preempted = chunk.num_preemptions != sequence.num_preemptions;
  if (!was_preempted) sequence.num_committed = chunk.first + chunk.num_tokens;
  // After a failed draw nobody should find what the step has computed.
  if (!was_preempted && reason != FinishReason::error) cache_.publish(sequence);
  if (reason != FinishReason::none) remove(sequence, reason);
}

void Scheduler::list_next_blocks(std::int32_t count, std::vector<std::int32_t>& result) const {
  result.clear();
  const std::int32_t end = std::min(blocks().high_water() + count, blocks().num_blocks());
  for (std::int32_t block = blocks().high_water(); block < end; block++) result.push_back(block);
  for (const Sequence* sequence : running_) {
    if (decodes(*sequence)) continue;
    const std::vector<std::int32_t>& table = sequence->block_table;
    const auto first = static_cast<std::size_t>(sequence->num_computed / blocks().block_len());
    for (std::size_t i = first; i < std::min(first + static_cast<std::size_t>(count), table.size()); i++)
      result.push_back(table[i]);
  }
}

void Scheduler::remove(Sequence& sequence, FinishReason reason) {
  if (std::erase(running_, &sequence) > 0) {
    cache_.release(sequence);
  } else {
    CHECK(std::erase(waiting_, &sequence) == 1, "request {} is not here", sequence.id);
    num_waiting_tokens_ -= sequence.len();
  }
  sequence.finish_reason = reason;
  sequence.num_pending = 0;  // steps in flight draw it for nobody
}

void Scheduler::reset() noexcept {
  running_.clear();
  waiting_.clear();
  num_waiting_tokens_ = 0;
  cache_.reset();
}

}  // namespace lmdeploy
