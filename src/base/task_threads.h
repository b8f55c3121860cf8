#pragma once
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace lmdeploy {

// Threads that take tasks in the order in which they come, beside whoever posts them. (ThreadPool is for
// loops whose caller waits.)
class TaskThreads {
 public:
  using Task = std::function<void()>;  // must not throw

  explicit TaskThreads(int num_threads);
  ~TaskThreads();  // behind the tasks that run; those that wait are dropped
  TaskThreads(const TaskThreads&) = delete;
  TaskThreads& operator=(const TaskThreads&) = delete;

  // From any thread.
  void post(Task task);
  void post(std::vector<Task> tasks);

 private:
  void work();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Task> tasks_;  // under mutex_, as stopping_
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace lmdeploy
