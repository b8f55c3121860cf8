#pragma once
#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/mailbox.h"
#include "engine/runner.h"
#include "engine/scheduler.h"

namespace lmdeploy {

// What the engine's thread runs and owns: collect mail, schedule, compute, commit, deliver; again. A failure
// ends the requests that it concerns and nothing else.
class EngineLoop {
 public:
  EngineLoop(const Model& model, const EngineOptions& options, const SchedulerOptions& policy,
             Mailbox& mailbox);

  void run();  // until the mailbox is closed; what is left then is aborted

  bool healthy() const noexcept { return healthy_; }  // any thread

 private:
  std::chrono::milliseconds max_wait() const noexcept;
  void take_mail();
  void step();
  void count(const StepPlan& plan);
  void deliver(const StepPlan& plan);
  void fail_step(const StepPlan& plan, const std::string& error);
  void fail_all(const std::string& error) noexcept;
  void abort(RequestId id);
  void end_all(FinishReason reason, const std::string& error) noexcept;
  void send(ActiveRequest& request, TokenId token, float logprob, const std::string& error) noexcept;
  void probe() noexcept;
  void publish() noexcept;
  void check_idle() const;

  const Model& model_;
  const SchedulerOptions policy_;
  Mailbox& mailbox_;
  Scheduler scheduler_;
  ThreadPool pool_;
  Workspace workspace_;
  Ctx ctx_;
  KvPool kv_pool_;  // the scheduler's blocks, and one more for probe()
  Runner runner_;

  Mailbox::Mail mail_;
  std::unordered_map<RequestId, std::unique_ptr<ActiveRequest>> active_;
  std::vector<ops::SamplingRow> rows_;
  EngineStats stats_;
  std::atomic<bool> healthy_{true};
  std::string probe_error_;  // while not healthy
};

}  // namespace lmdeploy
