#include "base/thread_pool.h"

#include <immintrin.h>
#include <sched.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <fstream>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace lmdeploy {
namespace {

using Clock = std::chrono::steady_clock;

// Long enough to bridge the serial part between two loops of a step, short enough to cost an idle server
// nothing.
constexpr auto kSpinTime = std::chrono::microseconds(200);
constexpr int kPausesPerClockRead = 64;

// Spins until ready() or the time is over; true when ready.
template <class Ready>
bool spin_until(const Ready& ready) {
  const auto deadline = Clock::now() + kSpinTime;
  do {
    for (int i = 0; i < kPausesPerClockRead; i++) {
      if (ready()) return true;
      _mm_pause();
    }
    sched_yield();  // returns at once on a free core; on a busy one it lets a preempted worker go on
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

struct ThreadPool::State {
  std::vector<std::thread> workers;
  std::mutex mutex;
  std::condition_variable wake;
  std::atomic<std::uint64_t> generation{0};  // one per loop; workers wait for it to change
  std::atomic<int> num_sleeping{0};
  std::atomic<bool> stop{false};

  // The loop that runs now. Written before generation is raised, read after it was seen.
  const std::function<void(std::int64_t, int)>* task = nullptr;
  std::int64_t num_tasks = 0;
  std::atomic<std::int64_t> next_task{0};
  std::atomic<int> num_active{0};  // workers that have not left this loop yet
  std::mutex error_mutex;
  std::exception_ptr error;

  void take_tasks(int thread_idx) {
    for (;;) {
      const std::int64_t i = next_task.fetch_add(1, std::memory_order_relaxed);
      if (i >= num_tasks) return;
      try {
        (*task)(i, thread_idx);
      } catch (...) {
        const std::lock_guard lock(error_mutex);
        if (!error) error = std::current_exception();
        next_task.store(num_tasks, std::memory_order_relaxed);
      }
    }
  }

  void work(int thread_idx) {
    std::uint64_t seen = 0;
    for (;;) {
      const auto changed = [&] { return generation.load(std::memory_order_acquire) != seen; };
      if (!spin_until(changed)) {
        std::unique_lock lock(mutex);
        num_sleeping.fetch_add(1);
        wake.wait(lock, changed);
        num_sleeping.fetch_sub(1);
      }
      if (stop.load(std::memory_order_acquire)) return;
      seen++;
      take_tasks(thread_idx);
      num_active.fetch_sub(1, std::memory_order_acq_rel);
    }
  }

  void raise_generation() {
    generation.fetch_add(1);
    if (num_sleeping.load() > 0) {
      const std::lock_guard lock(mutex);
      wake.notify_all();
    }
  }
};

ThreadPool::ThreadPool(int num_threads) : state_(std::make_unique<State>()) {
  const int count = num_threads > 0 ? num_threads : num_usable_cpus();
  for (int i = 1; i < count; i++) state_->workers.emplace_back([s = state_.get(), i] { s->work(i); });
}

ThreadPool::~ThreadPool() {
  state_->stop.store(true, std::memory_order_release);
  state_->raise_generation();
  for (auto& worker : state_->workers) worker.join();
}

int ThreadPool::num_threads() const noexcept {
  return static_cast<int>(state_->workers.size()) + 1;
}

void ThreadPool::parallel_for(std::int64_t num_tasks, const std::function<void(std::int64_t, int)>& task) {
  State& s = *state_;
  if (s.workers.empty() || num_tasks <= 1) {
    for (std::int64_t i = 0; i < num_tasks; i++) task(i, 0);
    return;
  }
  s.task = &task;
  s.num_tasks = num_tasks;
  s.error = nullptr;
  s.next_task.store(0, std::memory_order_relaxed);
  s.num_active.store(static_cast<int>(s.workers.size()), std::memory_order_relaxed);
  s.raise_generation();
  s.take_tasks(0);
  const auto done = [&] { return s.num_active.load(std::memory_order_acquire) == 0; };
  while (!spin_until(done)) std::this_thread::yield();
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
