#include "cli/device_watch.h"

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <utility>

namespace lmdeploy::cli {
namespace {

constexpr std::chrono::milliseconds kInterval{500};

void watch(const std::stop_token& stop, const Engine& engine, const std::function<void()>& on_loss) {
  std::mutex mutex;
  std::condition_variable_any stopped;
  std::unique_lock lock(mutex);
  while (!stopped.wait_for(lock, stop, kInterval, [&] { return stop.stop_requested(); }))
    if (engine.lost_device()) return on_loss();
}

}  // namespace

DeviceWatch::DeviceWatch(const Engine& engine, std::function<void()> on_loss)
    : thread_([&engine, on_loss = std::move(on_loss)](const std::stop_token& stop) {
        watch(stop, engine, on_loss);
      }) {}

}  // namespace lmdeploy::cli
