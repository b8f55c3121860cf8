#pragma once
#include <gtest/gtest.h>

#include <chrono>
#include <memory>

#include "engine/answers.h"
#include "engine/test_engine.h"
#include "support/fake_model.h"

namespace lmdeploy::testing {

constexpr std::int64_t kBlockBytes = 512;  // of the fake model

// An engine whose steps take long enough to act between two of them.
class SlowEngine : public ::testing::Test {
 protected:
  void start(EngineOptions options = {}) {
    options.num_threads = 1;
    if (options.cache_bytes == 0) options.cache_bytes = 100 * kBlockBytes;
    FakeModelOptions model;
    model.step_time = std::chrono::milliseconds(2);
    engine_ = std::make_unique<TestEngine>(std::make_unique<FakeModel>(model), options);
  }

  Answers answers_;  // outlives the engine
  std::unique_ptr<TestEngine> engine_;
};

}  // namespace lmdeploy::testing
