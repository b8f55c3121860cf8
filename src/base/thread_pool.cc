#include "base/thread_pool.h"

#include <immintrin.h>
#include <sched.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <fstream>
#include <limits>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/error.h"

namespace lmdeploy {
namespace {

using Clock = std::chrono::steady_clock;

// Workers: long enough to bridge the serial part between two loops of a step, short enough to cost an idle
// server nothing. The caller: tasks end at about the same time, unless a worker was preempted in the middle
// of one; then its core is better used by that worker.
constexpr auto kWorkerSpinTime = std::chrono::microseconds(200);
constexpr auto kCallerSpinTime = std::chrono::microseconds(50);
constexpr int kPausesPerClockRead = 32;

// Spins until ready() or the time is over; true when ready. It does not yield: on a core with another busy
// program that would cost a whole time slice, sleeping costs only a wake-up.
template <class Ready>
bool spin_until(const Ready& ready, Clock::duration time) {
  const auto deadline = Clock::now() + time;
  do {
    for (int i = 0; i < kPausesPerClockRead; i++) {
      if (ready()) return true;
      _mm_pause();
    }
  } while (Clock::now() < deadline);
  return ready();
}

int cgroup_cpu_quota() {  // cgroup v2: "max 100000" or "200000 100000"; 0 when unlimited or unknown
  std::ifstream file("/sys/fs/cgroup/cpu.max");
  std::string quota;
  double period = 0;
  if (!(file >> quota >> period) || quota == "max" || period <= 0) return 0;
  return static_cast<int>(std::stod(quota) / period + 0.999);
}

}  // namespace

// A loop needs no worker: the caller takes tasks like everybody else and waits only for tasks that somebody
// took. A worker that wakes up late finds nothing to take. Taking a task is what makes the loop's data safe
// to read: it cannot be replaced before that task has ended.
struct ThreadPool::State {
  int num_threads = 1;
  bool skips = false;
  std::vector<std::thread> workers;
  const std::function<void(std::int64_t, int)>* task = nullptr;  // of the loop that runs now
  std::int64_t num_tasks = 0;

  alignas(64) std::atomic<std::int64_t> num_left{0};  // tasks that nobody has taken yet
  alignas(64) std::atomic<int> num_unfinished{0};     // tasks that have not ended yet
  alignas(64) std::atomic<int> num_sleeping{0};
  std::atomic<bool> stop{false};
  std::mutex mutex;
  std::condition_variable wake;
  std::mutex error_mutex;
  std::exception_ptr error;

  // Takes the next task; false when there is none.
  bool take(std::int64_t& task_idx) {
    std::int64_t left = num_left.load(std::memory_order_acquire);
    while (left > 0)
      if (num_left.compare_exchange_weak(left, left - 1, std::memory_order_acq_rel)) {
        task_idx = num_tasks - left;
        return true;
      }
    return false;
  }

  void finish(int count) {
    if (num_unfinished.fetch_sub(count, std::memory_order_acq_rel) == count) num_unfinished.notify_one();
  }

  void run_tasks(int thread_idx) {
    for (std::int64_t task_idx = 0; take(task_idx);) {
      try {
        (*task)(task_idx, thread_idx);
      } catch (...) {
        drop_tasks(std::current_exception());
      }
      finish(1);
    }
  }

  void drop_tasks(std::exception_ptr reason) {
    {
      const std::lock_guard lock(error_mutex);
      if (!error) error = std::move(reason);
    }
    const std::int64_t dropped = num_left.exchange(0, std::memory_order_acq_rel);
    if (dropped > 0) finish(static_cast<int>(dropped));
  }

  void work(int thread_idx) {
    const auto needed = [&] { return num_left.load() > 0 || stop.load(); };
    while (!stop.load()) {
      run_tasks(thread_idx);
      if (spin_until(needed, kWorkerSpinTime)) continue;
      std::unique_lock lock(mutex);
      num_sleeping.fetch_add(1);
      wake.wait(lock, needed);
      num_sleeping.fetch_sub(1);
    }
  }

  // After num_left or stop was set. A worker counts itself before it looks at those for the last time, so
  // either it sees them or it is counted here (both sides are sequentially consistent).
  void wake_workers() {
    if (num_sleeping.load() == 0) return;
    const std::lock_guard lock(mutex);
    wake.notify_all();
  }

  void wait_until_finished() {
    const auto finished = [&] { return num_unfinished.load(std::memory_order_acquire) == 0; };
    if (spin_until(finished, kCallerSpinTime)) return;
    for (int count = num_unfinished.load(); count != 0; count = num_unfinished.load())
      num_unfinished.wait(count);
  }
};

ThreadPool::ThreadPool(int num_threads, Tasks tasks) : state_(std::make_unique<State>()) {
  state_->num_threads = num_threads > 0 ? num_threads : num_usable_cpus();
  state_->skips = tasks == Tasks::skip;
  if (state_->skips) return;
  for (int i = 1; i < state_->num_threads; i++)
    state_->workers.emplace_back([s = state_.get(), i] { s->work(i); });
}

ThreadPool::~ThreadPool() {
  state_->stop.store(true);
  state_->wake_workers();
  for (auto& worker : state_->workers) worker.join();
}

int ThreadPool::num_threads() const noexcept {
  return state_->num_threads;
}

void ThreadPool::parallel_for(std::int64_t num_tasks, const std::function<void(std::int64_t, int)>& task) {
  State& s = *state_;
  if (s.skips) return;
  if (s.workers.empty() || num_tasks <= 1) {
    for (std::int64_t i = 0; i < num_tasks; i++) task(i, 0);
    return;
  }
  CHECK(num_tasks <= std::numeric_limits<int>::max(), "{} tasks", num_tasks);
  s.task = &task;
  s.num_tasks = num_tasks;
  s.error = nullptr;
  s.num_unfinished.store(static_cast<int>(num_tasks), std::memory_order_relaxed);
  s.num_left.store(num_tasks);
  s.wake_workers();
  s.run_tasks(0);
  s.wait_until_finished();
  if (s.error) std::rethrow_exception(std::exchange(s.error, nullptr));
}

int ThreadPool::num_usable_cpus() {
  cpu_set_t set;
  int count = 1;
  if (sched_getaffinity(0, sizeof set, &set) == 0) count = CPU_COUNT(&set);
  const int quota = cgroup_cpu_quota();
  if (quota > 0 && quota < count) count = quota;
  return count > 0 ? count : 1;
}

}  // namespace lmdeploy
