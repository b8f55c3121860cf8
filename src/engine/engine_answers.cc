// What the engine's loop tells the receivers of its requests, and how requests end.
#include <algorithm>
#include <exception>
#include <utility>

#include "base/log.h"
#include "engine/engine_loop.h"

namespace lmdeploy {
namespace {

using Clock = std::chrono::steady_clock;

constexpr const char* kNoToken =
    "no token could be drawn: the model's logits are not numbers, or every token is banned";

std::string words_for_no_token(const ActiveRequest& request) {
  if (request.mask == nullptr) return kNoToken;
  if (!request.mask->error().empty())
    return "the form that the answer was given allows no token: " + request.mask->error();
  return std::string(kNoToken) + ", or all that the form of the answer allows";
}

}  // namespace

// The tokens of the oldest step, which is over then.
void EngineLoop::deliver() {
  publish();
  const Clock::time_point now = Clock::now();
  for (std::size_t i = 0; i < receivers_.size(); i++) {
    if (receivers_[i] == nullptr) continue;
    ActiveRequest& request = *receivers_[i];
    const TokenScore& drawn = runner_.drawn()[i];
    const bool is_last = request.sequence.finish_reason != FinishReason::none;
    const bool was_preempted = request.sequence.block_table.empty() && !is_last;  // since
    if (!was_preempted) request.clock.enter(RequestClock::Phase::decode, now);
    request.sampled_ms += runner_.draw_ms();
    send(request, drawn, drawn.token >= 0 ? std::string() : words_for_no_token(request));
    if (is_last) forget(request);
  }
  flights_.pop_front();
}

// The requests of the steps that went wrong.
void EngineLoop::end_failed() {
  if (flights_.empty() || flights_.front().error.empty()) return;
  const std::string error = flights_.front().error;
  std::vector<ActiveRequest*> concerned;
  for (const Flight& flight : flights_) {
    log::error("a step of {} sequences failed: {}", flight.plan.chunks.size(), flight.error);
    for (const Chunk& chunk : flight.plan.chunks) {
      if (chunk.sequence->finish_reason != FinishReason::none) continue;
      scheduler_.remove(*chunk.sequence, FinishReason::error);
      concerned.push_back(active_.at(chunk.sequence->id).get());
    }
  }
  publish();
  for (ActiveRequest* request : concerned) {
    send(*request, {}, error);
    forget(*request);
  }
  flights_.clear();
  runner_.forget_steps();
  probe();
}

// An exception outside of a forward pass: the books may be wrong, so everything starts anew.
void EngineLoop::fail_all(const std::string& error) noexcept {
  log::error("all requests are ended after a failure of the engine: {}", error);
  end_all(FinishReason::error, error);
  probe();
}

void EngineLoop::end_overdue() {
  while (!deadlines_.empty() && deadlines_.begin()->first <= Clock::now())
    end_early(deadlines_.begin()->second, FinishReason::timeout,
              "the time that the request was given is over");
}

// Nothing where the request has ended already.
void EngineLoop::end_early(RequestId id, FinishReason reason, const std::string& error) {
  const auto entry = active_.find(id);
  if (entry == active_.end()) return;
  ActiveRequest& request = *entry->second;
  scheduler_.remove(request.sequence, reason);
  publish();
  send(request, {}, error);
  forget(request);
}

// Plans in flight still point to its sequence.
void EngineLoop::forget(ActiveRequest& request) {
  const auto entry = active_.find(request.sequence.id);
  deadlines_.erase({request.deadline, entry->first});
  if (!flights_.empty()) flights_.back().ended.push_back(std::move(entry->second));
  active_.erase(entry);
}

void EngineLoop::end_all(FinishReason reason, const std::string& error) noexcept {
  scheduler_.reset();
  flights_.clear();
  runner_.forget_steps();
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
    if (drawn.token >= 0 && request.prompt_pooling) output.embedding = request.prompt_pooling->embedding();
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

}  // namespace lmdeploy
