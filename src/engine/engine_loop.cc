#include "engine/engine_loop.h"

#include <algorithm>
#include <exception>
#include <span>
#include <utility>

#include "base/error.h"
#include "base/log.h"

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

constexpr const char* kNoToken =
    "no token could be drawn: the model's logits are not numbers, or every token is banned";

}  // namespace

EngineLoop::EngineLoop(const Model& model, const EngineOptions& options, const SchedulerOptions& policy,
                       Mailbox& mailbox)
    : model_(model),
      policy_(policy),
      mailbox_(mailbox),
      scheduler_(policy),
      cost_model_(policy.cost),
      compute_(options.device, options.device == Device::cpu ? options.num_threads : 1,
               static_cast<std::size_t>(options.workspace_bytes)),
      kv_pool_(make_kv_pool(compute_.ctx(), model.info(), std::int64_t{policy.num_blocks} + 1)),
      runner_(model_, compute_.ctx(), kv_pool_) {
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
      prepare_blocks(scheduler_.idle() ? 0 : step());
    } catch (const std::exception& e) {
      fail_all(e.what());
    }
  }
  end_all(FinishReason::abort, {});
}

std::chrono::milliseconds EngineLoop::max_wait() const noexcept {
  if (!scheduler_.idle() || has_blocks_to_prepare_) return std::chrono::milliseconds(0);
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
  for (auto& request : mail_.requests) {
    const RequestId id = request->sequence.id;
    const auto [entry, is_new] = active_.try_emplace(id, std::move(request));
    CHECK(is_new, "request {} came twice", id);
    if (entry->second->deadline != Clock::time_point::max()) deadlines_.emplace(entry->second->deadline, id);
    scheduler_.add(entry->second->sequence);
  }
  mail_.requests.clear();
  for (const RequestId id : mail_.aborts) end_early(id, FinishReason::abort, {});
  mail_.aborts.clear();
}

void EngineLoop::end_overdue() {
  while (!deadlines_.empty() && deadlines_.begin()->first <= Clock::now())
    end_early(deadlines_.begin()->second, FinishReason::timeout,
              "the time that the request was given is over");
}

double EngineLoop::step() {
  const StepPlan plan = scheduler_.schedule();
  mark_phases(plan);
  double step_ms = 0;
  try {
    step_ms = compute(plan);
  } catch (const std::exception& e) {
    fail_step(plan, e.what());
    return 0;
  }
  count(plan);
  scheduler_.commit(plan, runner_.tokens());
  publish();
  deliver(plan);
  if (scheduler_.idle()) check_idle();
  return step_ms;
}

double EngineLoop::compute(const StepPlan& plan) {
  draws_.clear();
  scores_.clear();
  for (const Chunk& chunk : plan.chunks) {
    ActiveRequest& request = *active_.at(chunk.sequence->id);
    if (chunk.draws) draws_.push_back(request.sampling.draw());
    scores_.push_back(request.prompt_scores ? &*request.prompt_scores : nullptr);
  }
  const Clock::time_point begin = Clock::now();
  runner_.run(plan, draws_, scores_);
  const double step_ms = std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
  cost_model_.observe(plan.work, step_ms);
  scheduler_.set_cost(cost_model_.cost());
  return step_ms;
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
  std::size_t draw_idx = 0;
  for (const Chunk& chunk : plan.chunks) {
    if (!chunk.draws) continue;
    const bool drew = runner_.tokens()[draw_idx++] >= 0;
    if (chunk.sequence->answer_len() == 0)
      stats_.num_prompt_tokens += static_cast<std::uint64_t>(chunk.sequence->prompt_len);
    if (drew && !active_.at(chunk.sequence->id)->prompt_only) stats_.num_generated_tokens++;
  }
}

void EngineLoop::deliver(const StepPlan& plan) {
  const Clock::time_point now = Clock::now();
  std::size_t draw_idx = 0;
  for (const Chunk& chunk : plan.chunks) {
    if (!chunk.draws) continue;
    const TokenScore& drawn = runner_.drawn()[draw_idx++];
    ActiveRequest& request = *active_.at(chunk.sequence->id);
    if (drawn.token >= 0) request.sampling.accept(drawn.token);
    request.clock.enter(RequestClock::Phase::decode, now);
    request.sampled_ms += runner_.draw_ms();
    const bool is_last = request.sequence.finish_reason != FinishReason::none;
    send(request, drawn, drawn.token >= 0 ? std::string() : kNoToken);
    if (is_last) forget(request);
  }
}

void EngineLoop::fail_step(const StepPlan& plan, const std::string& error) {
  log::error("a step of {} sequences failed: {}", plan.chunks.size(), error);
  for (const Chunk& chunk : plan.chunks) {
    scheduler_.remove(*chunk.sequence);
    chunk.sequence->finish_reason = FinishReason::error;
  }
  publish();
  for (const Chunk& chunk : plan.chunks) {
    ActiveRequest& request = *active_.at(chunk.sequence->id);
    send(request, {}, error);
    forget(request);
  }
  probe();
}

// An exception outside of a forward pass: the books may be wrong, so everything starts anew.
void EngineLoop::fail_all(const std::string& error) noexcept {
  log::error("all requests are ended after a failure of the engine: {}", error);
  end_all(FinishReason::error, error);
  probe();
}

// Nothing where the request has ended already.
void EngineLoop::end_early(RequestId id, FinishReason reason, const std::string& error) {
  const auto entry = active_.find(id);
  if (entry == active_.end()) return;
  ActiveRequest& request = *entry->second;
  scheduler_.remove(request.sequence);
  request.sequence.finish_reason = reason;
  publish();
  send(request, {}, error);
  forget(request);
}

void EngineLoop::forget(ActiveRequest& request) {
  const RequestId id = request.sequence.id;
  deadlines_.erase({request.deadline, id});
  active_.erase(id);
}

void EngineLoop::end_all(FinishReason reason, const std::string& error) noexcept {
  scheduler_.reset();
  publish();
  const auto end = [&](ActiveRequest& request) {
    if (!request.sink) return;
    request.sequence.finish_reason = reason;
    send(request, {}, error);
  };
  for (auto& [id, request] : active_) end(*request);
  active_.clear();
  deadlines_.clear();
  for (auto& request : mail_.requests)
    if (request) end(*request);
  mail_.requests.clear();
  mail_.aborts.clear();
}

void EngineLoop::send(ActiveRequest& request, const TokenScore& drawn, const std::string& error) noexcept {
  const Sequence& sequence = request.sequence;
  const RequestId id = sequence.id;
  try {
    Output output;
    output.request_id = id;
    if (!request.prompt_only) {
      output.token = drawn.token;
      output.logprob = drawn.logprob;
      output.top_logprobs = drawn.top;
    }
    if (drawn.token >= 0 && request.prompt_scores) {
      output.prompt_scores = request.prompt_scores->take();
      request.prompt_scores.reset();
    }
    output.finish_reason = sequence.finish_reason;
    output.error = error;
    output.timings = request.clock.read(Clock::now());
    output.timings.sampled_ms = request.sampled_ms;
    output.timings.num_cached_tokens = std::max(sequence.num_cached, 0);
    output.timings.num_computed_tokens = static_cast<std::int32_t>(sequence.num_computed_ever);
    output.timings.num_preemptions = sequence.num_preemptions;
    request.sink(output);
  } catch (const std::exception& e) {
    log::error("the receiver of request {} failed, so the request ends: {}", id, e.what());
    mail_.aborts.push_back(id);
  }
  if (request.sequence.finish_reason != FinishReason::none) request.sink = nullptr;
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
