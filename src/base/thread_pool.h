#pragma once
#include <cstdint>
#include <functional>
#include <memory>

namespace lmdeploy {

// A fork-join pool for the loops of one engine. The calling thread works too and depends on no worker: it
// takes tasks like them and waits only for tasks that a worker has taken. Workers spin for a short while
// after a loop, because the next one follows within microseconds, then sleep. Threads are not pinned: beside
// another busy program a pinned thread would wait for its core while another one is free.
//
// Tasks are taken one at a time from a shared counter, so a slow core takes fewer. What a task computes must
// not depend on which thread runs it.
class ThreadPool {
 public:
  // skip: no thread is started and loops return at once. What surrounds them, shapes that are checked and
  // memory that is taken, then happens alone: so memory is planned without the work.
  enum class Tasks { run, skip };

  // num_threads counts the caller; 0 means the CPUs that this process may use (affinity and cgroup quota).
  explicit ThreadPool(int num_threads = 0, Tasks tasks = Tasks::run);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int num_threads() const noexcept;

  // Runs task(i, thread_idx) for every i in [0, num_tasks), thread_idx in [0, num_threads()). Returns when
  // all have ended. The first exception of a task is thrown here after the others have ended. Not re-entrant:
  // one loop at a time per pool, always from the same caller or under the caller's lock.
  void parallel_for(std::int64_t num_tasks,
                    const std::function<void(std::int64_t task_idx, int thread_idx)>& task);

  // CPUs that this process may use: affinity mask and cgroup quota, at least 1.
  static int num_usable_cpus();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace lmdeploy
