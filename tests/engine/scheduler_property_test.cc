// Random lives of many sequences: arrivals, steps, failed steps, aborts, preemptions, cache hits, evictions,
// with the invariants of the policy checked after every step.
#include <algorithm>
#include <map>
#include <memory>
#include <set>

#include "engine/scheduler.h"
#include "support/property.h"

namespace lmdeploy {
namespace {

using testing::check_property;

std::uint64_t mix(std::uint64_t x) {  // the finalizer of splitmix64 (Steele, Lea, Flood 2014)
  x += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

// What happens next, and a number that decides the details.
struct Event {
  enum class Kind : std::uint8_t { arrival, step, failed_step, abort };
  Kind kind;
  std::uint64_t detail;
};

void showValue(const Event& event, std::ostream& out) {
  constexpr const char* kNames[] = {"arrival", "step", "failed step", "abort"};
  out << kNames[static_cast<int>(event.kind)] << ' ' << event.detail;
}

rc::Gen<Event> any_event() {
  using Kind = Event::Kind;
  const auto kind = rc::gen::weightedElement<Kind>(
      {{8, Kind::arrival}, {40, Kind::step}, {1, Kind::failed_step}, {3, Kind::abort}});
  return rc::gen::map(rc::gen::pair(kind, rc::gen::arbitrary<std::uint32_t>()),
                      [](const auto& pair) { return Event{pair.first, pair.second}; });
}

SchedulerOptions any_options() {
  const auto in = [](int first, int last) { return *rc::gen::inRange(first, last + 1); };
  SchedulerOptions options;
  options.num_blocks = in(2, 30);
  options.block_len = in(1, 8);
  options.max_batch_size = in(1, 10);
  options.max_prompt_tokens = in(1, 40);
  options.min_prompt_tokens = in(1, 8);
  options.max_step_ms = in(1, 60);
  options.max_slowdown = in(1, 4);
  options.unpaced_prompt_tokens = in(0, 2) == 0 ? in(1, 40) : 0;
  options.decodes_only_interval = in(2, 20);
  options.min_slowdown = 1 + 0.25 * in(0, 2);
  options.cost = {
      .step_ms = 1.0 * in(0, 10), .token_ms = 1, .draw_ms = 0.5 * in(0, 2), .pair_ms = 0.01 * in(0, 10)};
  options.enable_prefix_caching = in(0, 3) > 0;
  options.hash_key = {1, 2};
  return options;
}

// Beside the scheduler it keeps what a KV cache would hold: for each slot of each block the history of the
// token whose keys and values were written there last. A computation that reads a slot must find its own
// past.
class Life {
 public:
  explicit Life(const SchedulerOptions& options)
      : options_(options),
        scheduler_(options),
        slots_(static_cast<std::size_t>(options.num_blocks) * static_cast<std::size_t>(options.block_len)) {}

  void happen(const Event& event) {
    if (event.kind == Event::Kind::arrival) return add(event.detail);
    if (event.kind == Event::Kind::abort) return abort_one(event.detail);
    if (!scheduler_.idle()) step(event.detail, event.kind == Event::Kind::failed_step);
  }

  // Nobody starves: all end, in a number of steps that their lengths bound.
  void finish() {
    std::size_t num_steps = 0;
    const std::size_t max_steps = 200 * (sequences_.size() + 1) * (1 + sequences_.size() / 8);
    for (; !scheduler_.idle(); num_steps++) {
      RC_ASSERT(num_steps < max_steps);
      step(mix(num_steps), false);
    }
    for (const auto& sequence : sequences_) RC_ASSERT(sequence->finish_reason != FinishReason::none);
    RC_ASSERT(scheduler_.blocks().num_used() == 0);
    RC_ASSERT(scheduler_.num_waiting_tokens() == 0);
  }

  const Scheduler& scheduler() const { return scheduler_; }

 private:
  // A prompt that begins like one of three texts and may go on in its own way.
  void add(std::uint64_t detail) {
    const auto below = [&](std::int64_t end) {
      detail = mix(detail);
      return static_cast<std::int32_t>(detail % static_cast<std::uint64_t>(end));
    };
    const auto pool_len = static_cast<std::int32_t>(scheduler_.max_len());
    auto sequence = std::make_unique<Sequence>();
    sequence->id = sequences_.size();
    sequence->prompt_len = below(std::min(pool_len - 1, 60)) + 1;
    const std::int32_t text = below(3);
    const std::int32_t common_len = below(3) == 0 ? below(sequence->prompt_len) : sequence->prompt_len;
    for (std::int32_t i = 0; i < sequence->prompt_len; i++)
      sequence->token_ids.push_back(
          i < common_len ? static_cast<TokenId>(mix(static_cast<std::uint64_t>(text * 100 + i)) % 5)
                         : below(5));
    sequence->max_len = sequence->prompt_len + 1 + below(std::min(pool_len - sequence->prompt_len, 100));
    sequence->stop_token_ids = {0};
    sequence->ignore_stop = below(2) == 0;
    if (below(4) == 0) sequence->cache_salt = "another key";
    sequence->reads_cache = below(8) > 0;
    sequences_.push_back(std::move(sequence));
    scheduler_.add(*sequences_.back());
    check_blocks();
  }

  void abort_one(std::uint64_t detail) {
    std::vector<Sequence*> alive;
    for (const auto& sequence : sequences_)
      if (sequence->finish_reason == FinishReason::none) alive.push_back(sequence.get());
    if (alive.empty()) return;
    end(*alive[detail % alive.size()]);
    check_blocks();
  }
  void end(Sequence& sequence) {
    scheduler_.remove(sequence);
    sequence.finish_reason = FinishReason::abort;
  }

  void step(std::uint64_t detail, bool fails) {
    const std::uint64_t preemptions_before = scheduler_.num_preemptions();
    const Sequence& oldest = oldest_alive();
    const bool oldest_ran = !oldest.block_table.empty();
    const std::int32_t oldest_work = oldest.num_uncomputed();
    const StepPlan plan = scheduler_.schedule();
    check_plan(plan);
    check_blocks();
    // Progress: whoever came first is in every plan and is never preempted.
    RC_ASSERT(std::any_of(plan.chunks.begin(), plan.chunks.end(),
                          [&](const Chunk& c) { return c.sequence == &oldest; }));
    if (oldest_ran) RC_ASSERT(oldest.num_uncomputed() == oldest_work);
    if (scheduler_.num_preemptions() == preemptions_before) check_decodes_all_run(plan);
    for (const Chunk& chunk : plan.chunks) compute(chunk, fails);
    if (fails) {
      for (const Chunk& chunk : plan.chunks) end(*chunk.sequence);
    } else {
      commit(plan, detail);
    }
    check_blocks();
  }

  void commit(const StepPlan& plan, std::uint64_t detail) {
    std::vector<TokenId> tokens;
    for (const Chunk& chunk : plan.chunks) {
      if (!chunk.draws) continue;
      detail = mix(detail);
      const bool is_greedy = chunk.sequence->id % 2 == 0;  // then equal prompts have equal answers
      const std::uint64_t choice =
          is_greedy ? mix(history(*chunk.sequence, chunk.sequence->len() - 1)) : detail;
      tokens.push_back(detail % 200 == 0 ? -1 : static_cast<TokenId>(choice % 60));
    }
    scheduler_.commit(plan, tokens);
    for (const Chunk& chunk : plan.chunks) {
      const Sequence& sequence = *chunk.sequence;
      RC_ASSERT(sequence.num_computed == chunk.first + chunk.num_tokens);
      RC_ASSERT(sequence.len() <= sequence.max_len);
    }
  }

  // Of the tokens up to a position: what their keys and values depend on.
  static std::uint64_t history(const Sequence& sequence, std::int32_t position) {
    std::uint64_t hash = sequence.cache_salt.size();
    for (std::int32_t i = 0; i <= position; i++)
      hash = mix(hash ^ static_cast<std::uint64_t>(sequence.token_ids[static_cast<std::size_t>(i)]));
    return hash;
  }
  std::uint64_t& slot(const Sequence& sequence, std::int32_t position) {
    const std::int32_t block =
        sequence.block_table.at(static_cast<std::size_t>(position / options_.block_len));
    return slots_.at(static_cast<std::size_t>(block) * static_cast<std::size_t>(options_.block_len) +
                     static_cast<std::size_t>(position % options_.block_len));
  }

  void compute(const Chunk& chunk, bool fails) {
    const Sequence& sequence = *chunk.sequence;
    for (std::int32_t i = 0; i < chunk.first; i++)
      RC_ASSERT(slot(sequence, i) == history(sequence, i));  // else it would read another's past
    for (std::int32_t i = chunk.first; i < chunk.first + chunk.num_tokens; i++) {
      RC_ASSERT(num_owners(sequence.block_table[static_cast<std::size_t>(i / options_.block_len)]) == 1);
      slot(sequence, i) = fails ? 0 : history(sequence, i);
    }
  }

  std::int64_t num_owners(std::int32_t block) const {
    std::int64_t count = 0;
    for (const auto& sequence : sequences_)
      count += std::count(sequence->block_table.begin(), sequence->block_table.end(), block);
    return count;
  }

  const Sequence& oldest_alive() const {
    return **std::find_if(sequences_.begin(), sequences_.end(),
                          [](const auto& sequence) { return sequence->finish_reason == FinishReason::none; });
  }

  static bool decodes(const Sequence& sequence) {
    return sequence.num_uncomputed() == 1 && sequence.num_computed > 0;
  }

  void check_plan(const StepPlan& plan) const {
    std::set<const Sequence*> seen;
    StepWork work;
    StepWork work_of_decodes;
    std::int32_t num_drawn = 0;
    for (const Chunk& chunk : plan.chunks) {
      const Sequence& sequence = *chunk.sequence;
      RC_ASSERT(seen.insert(&sequence).second);
      RC_ASSERT(chunk.first == sequence.num_computed);
      RC_ASSERT(chunk.num_tokens >= 1);
      RC_ASSERT(chunk.first + chunk.num_tokens <= sequence.len());
      RC_ASSERT(chunk.draws == (chunk.first + chunk.num_tokens == sequence.len()));
      RC_ASSERT(std::ssize(sequence.block_table) * options_.block_len >= chunk.first + chunk.num_tokens);
      num_drawn += chunk.draws ? 1 : 0;
      work.add(chunk.first, chunk.num_tokens, chunk.draws);
      const bool was_admitted =
          std::find(plan.admitted.begin(), plan.admitted.end(), &sequence) != plan.admitted.end();
      if (decodes(sequence) && !was_admitted) work_of_decodes = work;
    }
    RC_ASSERT(num_drawn == plan.num_drawn);
    RC_ASSERT(work.num_tokens == plan.work.num_tokens);
    RC_ASSERT(work.num_pairs == plan.work.num_pairs);
    RC_ASSERT(plan.num_prompt_tokens <= options_.max_prompt_tokens);
    RC_ASSERT(scheduler_.num_running() <= options_.max_batch_size);
    if (plan.num_prompt_tokens <= options_.min_prompt_tokens) return;
    const double ms = options_.cost.predict(work);
    const double ms_of_decodes = work_of_decodes.num_tokens > 0 ? options_.cost.predict(work_of_decodes) : 0;
    RC_ASSERT(ms <= std::max(options_.max_step_ms, options_.min_slowdown * ms_of_decodes));
    if (plan.num_prompt_tokens <= options_.unpaced_prompt_tokens) return;
    if (ms_of_decodes > 0) RC_ASSERT(ms <= options_.max_slowdown * ms_of_decodes);
  }

  void check_decodes_all_run(const StepPlan& plan) const {
    for (const auto& sequence : sequences_) {
      if (sequence->finish_reason != FinishReason::none || sequence->block_table.empty()) continue;
      if (decodes(*sequence))
        RC_ASSERT(std::any_of(plan.chunks.begin(), plan.chunks.end(),
                              [&](const Chunk& c) { return c.sequence == sequence.get(); }));
    }
  }

  void check_blocks() const {
    const BlockManager& blocks = scheduler_.blocks();
    blocks.check_integrity();
    std::map<std::int32_t, std::int32_t> num_refs;
    std::int64_t num_waiting_tokens = 0;
    for (const auto& sequence : sequences_) {
      const auto& table = sequence->block_table;
      for (const std::int32_t block : table) num_refs[block]++;
      if (sequence->finish_reason != FinishReason::none)
        RC_ASSERT(table.empty());
      else if (table.empty())
        num_waiting_tokens += sequence->len();
    }
    for (const auto& [block, count] : num_refs) RC_ASSERT(blocks.num_refs(block) == count);
    RC_ASSERT(std::ssize(num_refs) == blocks.num_used());
    RC_ASSERT(blocks.num_free() + blocks.num_cached() + blocks.num_used() == blocks.num_blocks());
    RC_ASSERT(scheduler_.num_waiting_tokens() == num_waiting_tokens);
  }

  SchedulerOptions options_;
  Scheduler scheduler_;
  std::vector<std::uint64_t> slots_;                  // [num_blocks, block_len]
  std::vector<std::unique_ptr<Sequence>> sequences_;  // in order of arrival
};

TEST(SchedulerProperty, InvariantsHoldThroughAnyLife) {
  std::uint64_t num_preemptions = 0;
  std::uint64_t num_hit_tokens = 0;
  check_property(2500, [&] {
    Life life(any_options());
    for (const Event& event : *rc::gen::container<std::vector<Event>>(any_event())) life.happen(event);
    life.finish();
    num_preemptions += life.scheduler().num_preemptions();
    num_hit_tokens += life.scheduler().num_cache_hit_tokens();
  });
  EXPECT_GT(num_preemptions, 400U) << "the pools are too large to test anything";
  EXPECT_GT(num_hit_tokens, 5000U) << "the prompts have too little in common to test anything";
}

}  // namespace
}  // namespace lmdeploy
