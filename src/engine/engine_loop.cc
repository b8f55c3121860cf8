#include "engine/engine_loop.h"

#include <exception>
#include <span>
#include <utility>

#include "base/error.h"
#include "base/log.h"

namespace lmdeploy {
namespace {

// An idle engine sleeps until something arrives; one whose model fails tries it again this often.
constexpr std::chrono::milliseconds kIdleWait = std::chrono::hours(1);
constexpr std::chrono::milliseconds kProbeInterval = std::chrono::seconds(1);

constexpr const char* kNoToken =
    "no token could be drawn: the model's logits are not numbers, or every token is banned";

}  // namespace

EngineLoop::EngineLoop(const Model& model, const EngineOptions& options, const SchedulerOptions& policy,
                       Mailbox& mailbox)
    : model_(model),
      policy_(policy),
      mailbox_(mailbox),
      scheduler_(policy),
      pool_(options.num_threads),
      workspace_(host_allocator()),
      kv_pool_(host_allocator(), model.info().kv_layout, model.info().num_layers,
               std::int64_t{policy.num_blocks} + 1),
      runner_(model_, ctx_, kv_pool_) {
  ctx_.pool = &pool_;
  ctx_.allocator = &host_allocator();
  ctx_.workspace = &workspace_;
  stats_.num_blocks = policy.num_blocks;
  stats_.block_len = policy.block_len;
  publish();
}

void EngineLoop::run() {
  for (;;) {
    mailbox_.collect(mail_, max_wait());
    if (mail_.closed) break;
    try {
      if (!healthy_) probe();
      take_mail();
      if (!scheduler_.idle()) step();
    } catch (const std::exception& e) {
      fail_all(e.what());
    }
  }
  end_all(FinishReason::abort, {});
}

std::chrono::milliseconds EngineLoop::max_wait() const noexcept {
  if (!scheduler_.idle()) return std::chrono::milliseconds(0);
  return healthy_ ? kIdleWait : kProbeInterval;
}

void EngineLoop::take_mail() {
  if (!healthy_) end_all(FinishReason::error, "the model fails even on a single token: " + probe_error_);
  for (auto& request : mail_.requests) {
    const RequestId id = request->sequence.id;
    const auto [entry, is_new] = active_.try_emplace(id, std::move(request));
    CHECK(is_new, "request {} came twice", id);
    scheduler_.add(entry->second->sequence);
  }
  mail_.requests.clear();
  for (const RequestId id : mail_.aborts) abort(id);
  mail_.aborts.clear();
}

void EngineLoop::step() {
  const StepPlan plan = scheduler_.schedule();
  rows_.clear();
  for (const Chunk& chunk : plan.chunks)
    if (chunk.draws) rows_.push_back(active_.at(chunk.sequence->id)->sampling.row());
  try {
    runner_.run(plan, rows_);
  } catch (const std::exception& e) {
    fail_step(plan, e.what());
    return;
  }
  count(plan);
  scheduler_.commit(plan, runner_.tokens());
  publish();
  deliver(plan);
  if (scheduler_.idle()) check_idle();
}

// Before the commit, which moves answer_len.
void EngineLoop::count(const StepPlan& plan) {
  for (const Chunk& chunk : plan.chunks)
    if (chunk.draws && chunk.sequence->answer_len() == 0)
      stats_.num_prompt_tokens += static_cast<std::uint64_t>(chunk.sequence->prompt_len);
  for (const TokenId token : runner_.tokens()) stats_.num_generated_tokens += token >= 0 ? 1 : 0;
}

void EngineLoop::deliver(const StepPlan& plan) {
  std::size_t draw_idx = 0;
  for (const Chunk& chunk : plan.chunks) {
    if (!chunk.draws) continue;
    const TokenId token = runner_.tokens()[draw_idx];
    const float logprob = runner_.logprobs()[draw_idx];
    draw_idx++;
    const auto entry = active_.find(chunk.sequence->id);
    ActiveRequest& request = *entry->second;
    if (token >= 0) request.sampling.accept(token);
    const bool is_last = request.sequence.finish_reason != FinishReason::none;
    send(request, token, logprob, token >= 0 ? std::string() : kNoToken);
    if (is_last) active_.erase(entry);
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
    const auto entry = active_.find(chunk.sequence->id);
    send(*entry->second, -1, 0, error);
    active_.erase(entry);
  }
  probe();
}

// An exception outside of a forward pass: the books may be wrong, so everything starts anew.
void EngineLoop::fail_all(const std::string& error) noexcept {
  log::error("all requests are ended after a failure of the engine: {}", error);
  end_all(FinishReason::error, error);
  probe();
}

void EngineLoop::abort(RequestId id) {
  const auto entry = active_.find(id);
  if (entry == active_.end()) return;
  ActiveRequest& request = *entry->second;
  scheduler_.remove(request.sequence);
  request.sequence.finish_reason = FinishReason::abort;
  publish();
  send(request, -1, 0, {});
  active_.erase(entry);
}

void EngineLoop::end_all(FinishReason reason, const std::string& error) noexcept {
  scheduler_.reset();
  publish();
  const auto end = [&](ActiveRequest& request) {
    if (!request.sink) return;
    request.sequence.finish_reason = reason;
    send(request, -1, 0, error);
  };
  for (auto& [id, request] : active_) end(*request);
  active_.clear();
  for (auto& request : mail_.requests)
    if (request) end(*request);
  mail_.requests.clear();
  mail_.aborts.clear();
}

void EngineLoop::send(ActiveRequest& request, TokenId token, float logprob,
                      const std::string& error) noexcept {
  const RequestId id = request.sequence.id;
  try {
    request.sink({id, token, logprob, request.sequence.finish_reason, error});
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
  ops::SamplingRow row;
  row.temperature = 0;
  try {
    sequence.token_ids = {0};
    sequence.block_table = {policy_.num_blocks};
    runner_.run({{{&sequence, 0, 1, true}}, 1}, std::span(&row, 1));
    if (!healthy_) log::info("the model computes again");
    healthy_ = true;
  } catch (const std::exception& e) {
    if (healthy_) log::critical("the model fails even on a single token, requests are refused: {}", e.what());
    probe_error_ = e.what();
    healthy_ = false;
  }
}

void EngineLoop::publish() noexcept {
  stats_.num_running = scheduler_.num_running();
  stats_.num_waiting = scheduler_.num_waiting();
  stats_.num_used_blocks = scheduler_.blocks().num_used();
  stats_.num_preemptions = scheduler_.num_preemptions();
  mailbox_.publish(stats_, scheduler_.num_waiting_tokens());
}

void EngineLoop::check_idle() const {
  scheduler_.blocks().check_integrity();
  CHECK(scheduler_.blocks().num_used() == 0 && active_.empty(), "idle, but {} blocks in use by {} requests",
        scheduler_.blocks().num_used(), active_.size());
}

}  // namespace lmdeploy
