#pragma once
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

namespace lmdeploy {

// A thread for requests whose text takes long to read, so that the threads of the sockets stay free to send
// what others wait for. Tasks run one after another, in order.
class TextWorker {
 public:
  TextWorker();
  ~TextWorker();  // after the task that runs; those that wait are dropped
  TextWorker(const TextWorker&) = delete;
  TextWorker& operator=(const TextWorker&) = delete;

  void run(std::function<void()> task);  // from any thread; the task must not throw

 private:
  void work();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> tasks_;  // under mutex_, as stopping_
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace lmdeploy
