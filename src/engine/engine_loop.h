#pragma once
#include <atomic>
#include <chrono>
#include <deque>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/task_threads.h"
#include "engine/cost_model.h"
#include "engine/mailbox.h"
#include "engine/runner.h"
#include "engine/scheduler.h"
#include "model/compute_context.h"

namespace lmdeploy {

// What the engine's thread runs and owns: collect mail, schedule, compute, commit, deliver; again. On a card
// a step ahead: while the card computes a step, the host commits and delivers the one before and launches the
// one after. A failure ends the requests that it concerns and nothing else.
class EngineLoop {
 public:
  EngineLoop(const Model& model, const EngineOptions& options, const SchedulerOptions& policy,
             Mailbox& mailbox);

  void run();  // until the mailbox is closed; what is left then is aborted

  bool healthy() const noexcept { return healthy_; }          // any thread
  bool lost_device() const noexcept { return lost_device_; }  // any thread

 private:
  // A step between its schedule and the last of its tokens' deliveries.
  struct Flight {
    StepPlan plan;
    bool has_draws = false;  // its draws have been launched too
    std::string error;       // what went wrong in it
    // Requests that ended meanwhile: the plan points to their sequences.
    std::vector<std::unique_ptr<ActiveRequest>> ended;
  };

  std::chrono::milliseconds max_wait() const noexcept;
  void prepare_blocks(double step_ms);
  void take_mail();
  double step();  // milliseconds of computing of the step that it finished
  void launch();
  void draw();
  Draw next_draw(const ActiveRequest& request);
  void make(std::vector<TaskThreads::Task> masks);
  bool take_tokens();
  void mark_phases(const StepPlan& plan);
  void count(const StepPlan& plan);
  void deliver();
  void end_failed();
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

  const int num_mask_threads_;
  std::optional<TaskThreads> mask_threads_;  // from the first mask on

  Mailbox::Mail mail_;
  std::unordered_map<RequestId, std::unique_ptr<ActiveRequest>> active_;
  // Of the active requests that have one.
  std::set<std::pair<std::chrono::steady_clock::time_point, RequestId>> deadlines_;
  const int steps_ahead_;
  std::deque<Flight> flights_;         // the oldest first; between two steps at most steps_ahead_
  bool has_blocks_to_prepare_ = true;  // for steps to come
  std::vector<std::int32_t> next_blocks_;
  std::vector<Draw> draws_;                // of the step that is drawn from
  std::vector<PromptWork> prompt_work_;    // one for each chunk of the step that is launched
  std::vector<ActiveRequest*> receivers_;  // of the tokens just taken; null: it had ended before
  EngineStats stats_;
  std::atomic<bool> healthy_{true};
  std::atomic<bool> lost_device_{false};
  std::string probe_error_;  // while not healthy
};

}  // namespace lmdeploy
