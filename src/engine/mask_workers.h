#pragma once
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "engine/draw_mask.h"

namespace lmdeploy {

// Threads that make masks while the engine's thread does something else. They start with the first mask.
class MaskWorkers {
 public:
  explicit MaskWorkers(int num_threads) : num_threads_(num_threads) {}
  ~MaskWorkers();  // behind the masks that are being made; the others are dropped
  MaskWorkers(const MaskWorkers&) = delete;
  MaskWorkers& operator=(const MaskWorkers&) = delete;

  // Engine's thread. Runs masks that are due; they may be run before by others, and outlive their request.
  void post(std::vector<std::shared_ptr<DrawMask>> masks);

 private:
  void work();

  const int num_threads_;
  std::mutex mutex_;
  std::condition_variable arrival_;
  std::deque<std::shared_ptr<DrawMask>> due_;  // under mutex_, as stopping_
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace lmdeploy
