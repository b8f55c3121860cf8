#include "base/task_threads.h"

#include <iterator>
#include <utility>

namespace lmdeploy {

TaskThreads::TaskThreads(int num_threads) {
  for (int i = 0; i < num_threads; i++) threads_.emplace_back([this] { work(); });
}

TaskThreads::~TaskThreads() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void TaskThreads::post(Task task) {
  {
    const std::lock_guard lock(mutex_);
    tasks_.push_back(std::move(task));
  }
  changed_.notify_one();
}

void TaskThreads::post(std::vector<Task> tasks) {
  if (tasks.empty()) return;
  {
    const std::lock_guard lock(mutex_);
    tasks_.insert(tasks_.end(), std::move_iterator(tasks.begin()), std::move_iterator(tasks.end()));
  }
  changed_.notify_all();
}

void TaskThreads::work() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return stopping_ || !tasks_.empty(); });
    if (stopping_) return;
    Task task = std::move(tasks_.front());
    tasks_.pop_front();
    lock.unlock();
    task();
    task = nullptr;  // what it holds may take locks of others
    lock.lock();
  }
}

}  // namespace lmdeploy
