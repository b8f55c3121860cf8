#pragma once
#include <functional>
#include <thread>

#include "engine/engine.h"

namespace lmdeploy::cli {

// Calls on_loss, from a thread of its own, once the engine's card is lost. Both outlive this.
class DeviceWatch {
 public:
  DeviceWatch(const Engine& engine, std::function<void()> on_loss);

 private:
  std::jthread thread_;
};

}  // namespace lmdeploy::cli
