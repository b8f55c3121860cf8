// Random lives of many sequences: arrivals, steps, failed steps, aborts, preemptions, cache hits, evictions,
// with the invariants of the policy checked after every step; each step committed before the next is planned,
// or after.
#include <algorithm>
#include <deque>
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

// Beside the scheduler it keeps what a device would hold: all tokens that were drawn, also where nobody has
// been told yet, and for each slot of each block the history of the token whose keys and values were written
// there last. A computation that reads a slot must find its own past.
class Life {
 public:
  // steps_ahead: planned beyond those that are committed.
  Life(const SchedulerOptions& options, std::size_t steps_ahead)
      : options_(options),
        steps_ahead_(steps_ahead),
        scheduler_(options),
        slots_(static_cast<std::size_t>(options.num_blocks) * static_cast<std::size_t>(options.block_len)) {}

  void happen(const Event& event) {
    if (event.kind == Event::Kind::arrival) return add(event.detail);
    if (event.kind == Event::Kind::abort) return abort_one(event.detail);
    if (!is_over()) step(event.detail, event.kind == Event::Kind::failed_step);
  }

  // Nobody starves: all end, in a number of steps that their lengths bound.
  void finish() {
    std::size_t num_steps = 0;
    const std::size_t max_steps = 400 * (sequences_.size() + 1) * (1 + sequences_.size() / 8);
    for (; !is_over(); num_steps++) {
      RC_ASSERT(num_steps < max_steps);
      step(mix(num_steps), false);
    }
    for (const auto& sequence : sequences_) RC_ASSERT(sequence->finish_reason != FinishReason::none);
    RC_ASSERT(scheduler_.blocks().num_used() == 0);
    RC_ASSERT(scheduler_.num_waiting_tokens() == 0);
  }

  const Scheduler& scheduler() const { return scheduler_; }
  std::size_t num_dropped_chunks() const { return num_dropped_chunks_; }

 private:
  struct Flight {
    StepPlan plan;
    std::vector<TokenId> tokens;          // one for each of its draws
    std::vector<std::uint64_t*> written;  // slots
  };

  bool is_over() const { return scheduler_.idle() && flights_.empty(); }

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
    said_.push_back(sequence->token_ids);
    sequences_.push_back(std::move(sequence));
    scheduler_.add(*sequences_.back());
    check_blocks();
  }

  void abort_one(std::uint64_t detail) {
    std::vector<Sequence*> alive;
    for (const auto& sequence : sequences_)
      if (sequence->finish_reason == FinishReason::none) alive.push_back(sequence.get());
    if (alive.empty()) return;
    scheduler_.remove(*alive[detail % alive.size()], FinishReason::abort);
    check_blocks();
  }

  void step(std::uint64_t detail, bool fails) {
    plan_step(detail);
    if (fails) {
      fail_flights();
    } else if (!flights_.empty() && (scheduler_.idle() || flights_.back().plan.chunks.empty())) {
      if (flights_.back().plan.chunks.empty()) flights_.pop_back();
      RC_ASSERT(!flights_.empty());  // or nothing would ever happen again
      commit();
    } else {
      while (flights_.size() > steps_ahead_) commit();
    }
    check_blocks();
  }

  void plan_step(std::uint64_t detail) {
    if (scheduler_.idle()) return;
    const std::uint64_t preemptions_before = scheduler_.num_preemptions();
    const std::set<const Sequence*> decodes = ready_decodes();
    const Sequence& oldest = oldest_alive();
    const bool oldest_ran = !oldest.block_table.empty();
    const bool oldest_is_at_end = oldest.len() == oldest.max_len;
    const std::int32_t oldest_preemptions = oldest.num_preemptions;
    Flight flight{scheduler_.schedule(), {}, {}};
    const StepPlan& plan = flight.plan;
    check_plan(plan, decodes);
    check_blocks();
    // Progress: whoever came first is in every plan, up to its last token, and is never preempted.
    RC_ASSERT(oldest_is_at_end || is_in(plan, &oldest));
    RC_ASSERT(!oldest_is_at_end || oldest.num_pending > 0);
    if (oldest_ran) RC_ASSERT(oldest.num_preemptions == oldest_preemptions);
    if (scheduler_.num_preemptions() == preemptions_before)
      for (const Sequence* sequence : decodes) RC_ASSERT(is_in(plan, sequence));
    for (const Chunk& chunk : plan.chunks) compute(chunk, flight.written);
    flight.tokens = draw(plan, detail);
    flights_.push_back(std::move(flight));
  }

  std::vector<TokenId> draw(const StepPlan& plan, std::uint64_t detail) {
    std::vector<TokenId> tokens;
    for (const Chunk& chunk : plan.chunks) {
      if (!chunk.draws) continue;
      detail = mix(detail);
      const bool is_greedy = chunk.sequence->id % 2 == 0;  // then equal prompts have equal answers
      std::vector<TokenId>& said = said_of(*chunk.sequence);
      RC_ASSERT(std::ssize(said) == chunk.first + chunk.num_tokens);
      const std::uint64_t choice = is_greedy ? mix(history(*chunk.sequence, chunk.first)) : detail;
      tokens.push_back(detail % 200 == 0 ? -1 : static_cast<TokenId>(choice % 60));
      said.push_back(std::max(tokens.back(), 0));
    }
    return tokens;
  }

  void commit() {
    const Flight flight = std::move(flights_.front());
    flights_.pop_front();
    for (const Chunk& chunk : flight.plan.chunks)
      num_dropped_chunks_ += chunk.sequence->finish_reason == FinishReason::none ? 0 : 1;
    scheduler_.commit(flight.plan, flight.tokens);
    for (const Chunk& chunk : flight.plan.chunks) {
      const Sequence& sequence = *chunk.sequence;
      RC_ASSERT(sequence.len() <= sequence.max_len);
      RC_ASSERT(std::equal(sequence.token_ids.begin(), sequence.token_ids.end(), said_of(sequence).begin()));
      if (sequence.finish_reason != FinishReason::none) continue;
      RC_ASSERT(sequence.num_pending == num_draws_in_flight(sequence));
      if (sequence.num_preemptions == chunk.num_preemptions)
        RC_ASSERT(sequence.num_committed == chunk.first + chunk.num_tokens);
    }
  }

  // What goes wrong in one step concerns all that were in flight with it; nobody may find what it wrote.
  void fail_flights() {
    for (const Flight& flight : flights_) {
      for (const Chunk& chunk : flight.plan.chunks)
        if (chunk.sequence->finish_reason == FinishReason::none)
          scheduler_.remove(*chunk.sequence, FinishReason::error);
      for (std::uint64_t* slot : flight.written) *slot = 0;
    }
    flights_.clear();
  }

  std::int32_t num_draws_in_flight(const Sequence& sequence) const {
    std::int32_t count = 0;
    for (const Flight& flight : flights_)
      for (const Chunk& chunk : flight.plan.chunks)
        count += chunk.sequence == &sequence && chunk.draws ? 1 : 0;
    return count;
  }
  static bool is_in(const StepPlan& plan, const Sequence* sequence) {
    return std::any_of(plan.chunks.begin(), plan.chunks.end(),
                       [&](const Chunk& chunk) { return chunk.sequence == sequence; });
  }

  std::vector<TokenId>& said_of(const Sequence& sequence) {
    return said_.at(static_cast<std::size_t>(sequence.id));
  }
  // Of the tokens up to a position: what their keys and values depend on.
  std::uint64_t history(const Sequence& sequence, std::int32_t position) {
    const std::vector<TokenId>& said = said_of(sequence);
    std::uint64_t hash = sequence.cache_salt.size();
    for (std::int32_t i = 0; i <= position; i++)
      hash = mix(hash ^ static_cast<std::uint64_t>(said.at(static_cast<std::size_t>(i))));
    return hash;
  }
  std::uint64_t& slot(const Sequence& sequence, std::int32_t position) {
    const std::int32_t block =
        sequence.block_table.at(static_cast<std::size_t>(position / options_.block_len));
    return slots_.at(static_cast<std::size_t>(block) * static_cast<std::size_t>(options_.block_len) +
                     static_cast<std::size_t>(position % options_.block_len));
  }

  void compute(const Chunk& chunk, std::vector<std::uint64_t*>& written) {
    const Sequence& sequence = *chunk.sequence;
    for (std::int32_t i = 0; i < chunk.first; i++)
      RC_ASSERT(slot(sequence, i) == history(sequence, i));  // else it would read another's past
    for (std::int32_t i = chunk.first; i < chunk.first + chunk.num_tokens; i++) {
      RC_ASSERT(num_owners(sequence.block_table[static_cast<std::size_t>(i / options_.block_len)]) == 1);
      slot(sequence, i) = history(sequence, i);
      written.push_back(&slot(sequence, i));
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

  // Those that run and have one token to compute.
  std::set<const Sequence*> ready_decodes() const {
    std::set<const Sequence*> result;
    for (const auto& sequence : sequences_)
      if (!sequence->block_table.empty() && sequence->num_uncomputed() == 1 && sequence->num_computed > 0 &&
          sequence->len() < sequence->max_len)
        result.insert(sequence.get());
    return result;
  }

  void check_plan(const StepPlan& plan, const std::set<const Sequence*>& decodes) const {
    std::set<const Sequence*> seen;
    StepWork work;
    StepWork work_of_decodes;
    std::int32_t num_drawn = 0;
    for (const Chunk& chunk : plan.chunks) {
      const Sequence& sequence = *chunk.sequence;
      RC_ASSERT(seen.insert(&sequence).second);
      RC_ASSERT(chunk.first + chunk.num_tokens == sequence.num_computed);
      RC_ASSERT(chunk.num_tokens >= 1);
      const std::int32_t len = sequence.len() - (chunk.draws ? 1 : 0);  // before the step
      RC_ASSERT(chunk.draws == (chunk.first + chunk.num_tokens == len));
      RC_ASSERT(chunk.first + chunk.num_tokens <= len);
      RC_ASSERT(len < sequence.max_len);
      check_pending(chunk, len);
      RC_ASSERT(std::ssize(sequence.block_table) * options_.block_len >= chunk.first + chunk.num_tokens);
      num_drawn += chunk.draws ? 1 : 0;
      work.add(chunk.first, chunk.num_tokens, chunk.draws);
      if (decodes.contains(&sequence)) work_of_decodes = work;
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

  // A token that nobody knows is computed by itself, and is said to be the right draw of the step before.
  void check_pending(const Chunk& chunk, std::int32_t len) const {
    const Sequence& sequence = *chunk.sequence;
    const bool is_pending = len > sequence.known_len();
    RC_ASSERT(is_pending == (chunk.pending_draw >= 0));
    if (!is_pending) return;
    RC_ASSERT(!flights_.empty());
    RC_ASSERT(len == sequence.known_len() + 1 && chunk.num_tokens == 1);
    std::vector<const Sequence*> drawing;
    for (const Chunk& before : flights_.back().plan.chunks)
      if (before.draws) drawing.push_back(before.sequence);
    RC_ASSERT(drawing.at(static_cast<std::size_t>(chunk.pending_draw)) == &sequence);
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
  std::size_t steps_ahead_;
  Scheduler scheduler_;
  std::vector<std::uint64_t> slots_;                  // [num_blocks, block_len]
  std::vector<std::unique_ptr<Sequence>> sequences_;  // in order of arrival
  std::vector<std::vector<TokenId>> said_;            // of each of them, prompt and all draws
  std::deque<Flight> flights_;                        // planned and not committed, the oldest first
  std::size_t num_dropped_chunks_ = 0;                // of sequences that had ended meanwhile
};

class SchedulerProperty : public ::testing::TestWithParam<std::size_t> {};  // steps ahead

TEST_P(SchedulerProperty, InvariantsHoldThroughAnyLife) {
  std::uint64_t num_preemptions = 0;
  std::size_t num_dropped_chunks = 0;
  std::uint64_t num_hit_tokens = 0;
  check_property(2500, [&] {
    Life life(any_options(), GetParam());
    for (const Event& event : *rc::gen::container<std::vector<Event>>(any_event())) life.happen(event);
    life.finish();
    num_preemptions += life.scheduler().num_preemptions();
    num_hit_tokens += life.scheduler().num_cache_hit_tokens();
    num_dropped_chunks += life.num_dropped_chunks();
  });
  EXPECT_GT(num_preemptions, 400U) << "the pools are too large to test anything";
  EXPECT_GT(num_hit_tokens, 5000U) << "the prompts have too little in common to test anything";
  if (GetParam() == 0)
    EXPECT_EQ(num_dropped_chunks, 0U);
  else
    EXPECT_GT(num_dropped_chunks, 500U) << "too few answers end while they are in flight";
}

INSTANTIATE_TEST_SUITE_P(StepsAhead, SchedulerProperty, ::testing::Values(0, 1));

}  // namespace
}  // namespace lmdeploy
