#include "engine/engine_loop.h"

#include <algorithm>
#include <exception>
#include <span>
#include <utility>

#include "base/error.h"
#include "base/log.h"
#include "engine/engine_policy.h"

namespace lmdeploy {
namespace {

using Clock = std::chrono::steady_clock;

// An idle engine sleeps until something arrives; one whose model fails tries it again this often.
constexpr std::chrono::milliseconds kIdleWait = std::chrono::hours(1);
constexpr std::chrono::milliseconds kProbeInterval = std::chrono::seconds(1);

// Memory of blocks is made resident before steps use them: two steps of kMaxPromptTokens ahead, while nothing
// else is to do, and between steps for this share of their time.
constexpr std::int32_t kBlocksAhead = 16;
constexpr double kPreparingShare = 0.1;

// `masks`: gets what makes the request's, if it has one; it may be made before by others, and outlive its
// request.
void begin_mask(const ActiveRequest& request, std::optional<TokenId> drawn,
                std::vector<TaskThreads::Task>& masks) {
  if (request.mask == nullptr) return;
  request.mask->begin(drawn);
  masks.emplace_back([mask = request.mask] { mask->run(); });
}

}  // namespace

EngineLoop::EngineLoop(const Model& model, const EngineOptions& options, const SchedulerOptions& policy,
                       Mailbox& mailbox)
    : model_(model),
      policy_(policy),
      mailbox_(mailbox),
      scheduler_(policy),
      cost_model_(policy.cost),
      compute_(options.device, options.device == Device::cpu ? options.num_threads : 1,
               static_cast<std::size_t>(options.workspace_bytes), options.eager),
      kv_pool_(make_kv_pool(compute_.ctx(), model.info(), std::int64_t{policy.num_blocks} + 1)),
      runner_(model_, compute_.ctx(), kv_pool_, policy.max_batch_size),
      num_mask_threads_(num_mask_threads(options)),
      steps_ahead_(num_steps_ahead(options)) {
  compute_.ctx().deterministic = options.deterministic;
  stats_.num_blocks = policy.num_blocks;
  stats_.block_len = policy.block_len;
  publish();
}

void EngineLoop::run() {
  for (;;) {
    mailbox_.collect(mail_, max_wait());
    if (mail_.closed) break;
    try {
      if (!healthy_ && !lost_device_) probe();
      take_mail();
      end_overdue();
      prepare_blocks(step());
    } catch (const std::exception& e) {
      fail_all(e.what());
    }
  }
  end_all(FinishReason::abort, {});
}

std::chrono::milliseconds EngineLoop::max_wait() const noexcept {
  if (!scheduler_.idle() || !flights_.empty() || has_blocks_to_prepare_) return std::chrono::milliseconds(0);
  return healthy_ || lost_device_ ? kIdleWait : kProbeInterval;
}

// At least one each time, so that steps of a few milliseconds get on too.
void EngineLoop::prepare_blocks(double step_ms) {
  scheduler_.list_next_blocks(kBlocksAhead, next_blocks_);
  const auto end = Clock::now() + std::chrono::duration<double, std::milli>(kPreparingShare * step_ms);
  bool is_time_over = false, was_prepared = false;
  auto block = next_blocks_.begin();
  for (; block != next_blocks_.end() && !is_time_over; ++block) {
    if (!kv_pool_.prepare(*block)) continue;
    was_prepared = true;
    is_time_over = Clock::now() >= end;
  }
  has_blocks_to_prepare_ = block != next_blocks_.end();
  if (was_prepared) publish();
}

void EngineLoop::take_mail() {
  if (!healthy_) end_all(FinishReason::error, "the model fails even on a single token: " + probe_error_);
  std::vector<TaskThreads::Task> masks;
  for (auto& request : mail_.requests) {
    const RequestId id = request->sequence.id;
    const auto [entry, is_new] = active_.try_emplace(id, std::move(request));
    CHECK(is_new, "request {} came twice", id);
    if (entry->second->deadline != Clock::time_point::max()) deadlines_.emplace(entry->second->deadline, id);
    scheduler_.add(entry->second->sequence);
    begin_mask(*entry->second, std::nullopt, masks);
  }
  make(std::move(masks));
  mail_.requests.clear();
  for (const RequestId id : mail_.aborts) end_early(id, FinishReason::abort, {});
  mail_.aborts.clear();
}

// Draws wait for the commit of the step before, so that they see all that was said; the forward pass before
// them does not. What takes time and is of no use to the device, the deliveries, comes last.
double EngineLoop::step() {
  const bool is_ahead = !flights_.empty();  // of one whose tokens are not known
  launch();
  bool has_tokens = is_ahead && take_tokens();
  draw();
  if (steps_ahead_ == 0) has_tokens = take_tokens();
  if (has_tokens) deliver();
  end_failed();
  if (has_tokens && scheduler_.idle() && flights_.empty()) check_idle();
  return has_tokens ? runner_.step_ms() : 0;
}

void EngineLoop::launch() {
  if (scheduler_.idle()) return;
  StepPlan plan = scheduler_.schedule();
  mark_phases(plan);
  CHECK(!plan.chunks.empty() || !flights_.empty(), "{} run, {} wait, {} blocks free, nothing to do",
        scheduler_.num_running(), scheduler_.num_waiting(), scheduler_.blocks().num_available());
  if (plan.chunks.empty()) return;
  Flight& flight = flights_.emplace_back();
  flight.plan = std::move(plan);
  prompt_work_.clear();
  for (const Chunk& chunk : flight.plan.chunks) {
    ActiveRequest& request = *active_.at(chunk.sequence->id);
    prompt_work_.push_back({request.prompt_scores ? &*request.prompt_scores : nullptr,
                            request.prompt_pooling ? &*request.prompt_pooling : nullptr});
  }
  try {
    runner_.launch(flight.plan, prompt_work_);
  } catch (const std::exception& e) {
    flight.error = e.what();
  }
}

void EngineLoop::draw() {
  if (flights_.empty() || flights_.back().has_draws || !flights_.back().error.empty()) return;
  Flight& flight = flights_.back();
  draws_.clear();
  for (const Chunk& chunk : flight.plan.chunks) {
    if (!chunk.draws) continue;
    const bool has_ended = chunk.sequence->finish_reason != FinishReason::none;
    draws_.push_back(has_ended ? Draw() : next_draw(*active_.at(chunk.sequence->id)));
  }
  try {
    runner_.draw(draws_);
    flight.has_draws = true;
  } catch (const std::exception& e) {
    flight.error = e.what();
  }
}

void EngineLoop::make(std::vector<TaskThreads::Task> masks) {
  if (masks.empty()) return;
  if (!mask_threads_) mask_threads_.emplace(num_mask_threads_);
  mask_threads_->post(std::move(masks));
}

Draw EngineLoop::next_draw(const ActiveRequest& request) {
  Draw draw = request.sampling.draw();
  if (request.mask == nullptr) return draw;
  request.mask->wait();
  draw.row.allowed_mask = request.mask->words();
  if (request.mask->is_whole()) draw.row.banned_ids = {};
  return draw;
}

// Waits for the oldest step and commits it. Where that fails, all that is in flight has failed with it.
bool EngineLoop::take_tokens() {
  if (flights_.empty() || !flights_.front().has_draws) return false;
  const StepPlan& plan = flights_.front().plan;
  try {
    runner_.wait();
  } catch (const std::exception& e) {
    for (Flight& flight : flights_) flight.error = e.what();
    return false;
  }
  cost_model_.observe(plan.work, runner_.step_ms());
  scheduler_.set_cost(cost_model_.cost());
  receivers_.clear();
  for (const Chunk& chunk : plan.chunks) {
    if (!chunk.draws) continue;
    const bool has_ended = chunk.sequence->finish_reason != FinishReason::none;
    receivers_.push_back(has_ended ? nullptr : active_.at(chunk.sequence->id).get());
  }
  count(plan);
  scheduler_.commit(plan, runner_.tokens());
  std::vector<TaskThreads::Task> masks;
  for (std::size_t i = 0; i < receivers_.size(); i++) {
    const TokenId token = runner_.tokens()[i];
    if (receivers_[i] == nullptr || token < 0) continue;
    receivers_[i]->sampling.accept(token);
    if (receivers_[i]->sequence.finish_reason == FinishReason::none) begin_mask(*receivers_[i], token, masks);
  }
  make(std::move(masks));
  return true;
}

void EngineLoop::mark_phases(const StepPlan& plan) {
  if (plan.admitted.empty() && plan.preempted.empty()) return;
  const Clock::time_point now = Clock::now();
  for (const Sequence* sequence : plan.preempted)
    active_.at(sequence->id)->clock.enter(RequestClock::Phase::preempted, now);
  for (const Sequence* sequence : plan.admitted) {
    RequestClock& clock = active_.at(sequence->id)->clock;
    if (clock.phase() == RequestClock::Phase::queued) clock.enter(RequestClock::Phase::prefill, now);
  }
}

// Before the commit, which moves answer_len.
void EngineLoop::count(const StepPlan& plan) {
  stats_.num_computed_tokens += static_cast<std::uint64_t>(plan.work.num_tokens);
  for (std::size_t i = 0; i < receivers_.size(); i++) {
    if (receivers_[i] == nullptr) continue;
    const Sequence& sequence = receivers_[i]->sequence;
    if (sequence.answer_len() == 0)
      stats_.num_prompt_tokens += static_cast<std::uint64_t>(sequence.prompt_len);
    if (runner_.tokens()[i] >= 0 && !receivers_[i]->prompt_only) stats_.num_generated_tokens++;
  }
}

// Whether the model can compute at all: one token in a block of its own. After a failure this tells a bad
// request from a broken model.
void EngineLoop::probe() noexcept {
  Sequence sequence;
  Draw draw;
  draw.row.temperature = 0;
  try {
    sequence.token_ids = {0};
    sequence.block_table = {policy_.num_blocks};
    runner_.run({.chunks = {{&sequence, 0, 1, true}}, .num_drawn = 1}, std::span(&draw, 1));
    if (!healthy_) log::info("the model computes again");
    healthy_ = true;
  } catch (const std::exception& e) {
    if (healthy_) log::critical("the model fails even on a single token, requests are refused: {}", e.what());
    probe_error_ = e.what();
    healthy_ = false;
    lost_device_ = !compute_.works();
  }
}

void EngineLoop::publish() noexcept {
  stats_.num_running = scheduler_.num_running();
  stats_.num_waiting = scheduler_.num_waiting();
  stats_.num_used_blocks = scheduler_.blocks().num_used();
  stats_.num_cached_blocks = scheduler_.blocks().num_cached();
  stats_.resident_bytes = kv_pool_.block_bytes() *
                          std::max<std::int64_t>(kv_pool_.prepared_end(), scheduler_.blocks().high_water());
  stats_.num_preemptions = scheduler_.num_preemptions();
  stats_.num_cache_query_tokens = scheduler_.num_cache_query_tokens();
  stats_.num_cache_hit_tokens = scheduler_.num_cache_hit_tokens();
  mailbox_.publish(stats_, scheduler_.num_waiting_tokens());
}

void EngineLoop::check_idle() const {
  scheduler_.blocks().check_integrity();
  CHECK(scheduler_.blocks().num_used() == 0 && active_.empty(), "idle, but {} blocks in use by {} requests",
        scheduler_.blocks().num_used(), active_.size());
}

}  // namespace lmdeploy
