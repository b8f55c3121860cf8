#pragma once
#include <atomic>
#include <chrono>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "engine/cost_model.h"
#include "engine/mailbox.h"
#include "engine/runner.h"
#include "engine/scheduler.h"
#include "model/compute_context.h"

namespace lmdeploy {

// What the engine's thread runs and owns: collect mail, schedule, compute, commit, deliver; again. A failure
// ends the requests that it concerns and nothing else.
class EngineLoop {
 public:
  EngineLoop(const Model& model, const EngineOptions& options, const SchedulerOptions& policy,
             Mailbox& mailbox);

  void run();  // until the mailbox is closed; what is left then is aborted

  bool healthy() const noexcept { return healthy_; }          // any thread
  bool lost_device() const noexcept { return lost_device_; }  // any thread

 private:
  std::chrono::milliseconds max_wait() const noexcept;
  void prepare_blocks(double step_ms);
  void take_mail();
  double step();                         // milliseconds of computing; 0 where it failed
  double compute(const StepPlan& plan);  // milliseconds
  void mark_phases(const StepPlan& plan);
  void count(const StepPlan& plan);
  void deliver(const StepPlan& plan);
  void fail_step(const StepPlan& plan, const std::string& error);
  void fail_all(const std::string& error) noexcept;
  void end_overdue();
  void end_early(RequestId id, FinishReason reason, const std::string& error);
  void end_all(FinishReason reason, const std::string& error) noexcept;
  void forget(ActiveRequest& request);
  void send(ActiveRequest& request, const TokenScore& drawn, const std::string& error) noexcept;
  void probe() noexcept;
  void publish() noexcept;
  void check_idle() const;

  const Model& model_;
  const SchedulerOptions policy_;
  Mailbox& mailbox_;
  Scheduler scheduler_;
  CostModel cost_model_;
  ComputeContext compute_;
  KvPool kv_pool_;  // the scheduler's blocks, and one more for probe()
  Runner runner_;

  Mailbox::Mail mail_;
  std::unordered_map<RequestId, std::unique_ptr<ActiveRequest>> active_;
  // Of the active requests that have one.
  std::set<std::pair<std::chrono::steady_clock::time_point, RequestId>> deadlines_;
  bool has_blocks_to_prepare_ = true;  // for steps to come
  std::vector<std::int32_t> next_blocks_;
  std::vector<Draw> draws_;            // of the current step
  std::vector<PromptScores*> scores_;  // one for each of its chunks
  EngineStats stats_;
  std::atomic<bool> healthy_{true};
  std::atomic<bool> lost_device_{false};
  std::string probe_error_;  // while not healthy
};

}  // namespace lmdeploy
