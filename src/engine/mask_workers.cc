#include "engine/mask_workers.h"

#include <iterator>
#include <utility>

namespace lmdeploy {

MaskWorkers::~MaskWorkers() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  arrival_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void MaskWorkers::post(std::vector<std::shared_ptr<DrawMask>> masks) {
  if (masks.empty()) return;
  while (std::ssize(threads_) < num_threads_) threads_.emplace_back([this] { work(); });
  {
    const std::lock_guard lock(mutex_);
    due_.insert(due_.end(), std::move_iterator(masks.begin()), std::move_iterator(masks.end()));
  }
  arrival_.notify_all();
}

void MaskWorkers::work() {
  std::unique_lock lock(mutex_);
  while (true) {
    arrival_.wait(lock, [this] { return stopping_ || !due_.empty(); });
    if (stopping_) return;
    auto mask = std::move(due_.front());
    due_.pop_front();
    lock.unlock();
    mask->run();
    mask.reset();
    lock.lock();
  }
}

}  // namespace lmdeploy
