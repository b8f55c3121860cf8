#pragma once
#include <cstdlib>
#include <memory>
#include <utility>

#include "engine/engine.h"
#include "model/model.h"

namespace lmdeploy::testing {

// The engine of the tests in this folder, which run twice (CMakeLists.txt): with
// LMDEPLOY_TEST_STEPS_AHEAD=1 in the environment each step is launched before the one before it is committed,
// as on a card. What is expected is the same.
class TestEngine : public Engine {
 public:
  TestEngine(std::unique_ptr<const Model> model, EngineOptions options)
      : Engine(std::move(model), with_steps_ahead(options)) {}

 private:
  static EngineOptions with_steps_ahead(EngineOptions options) {
    const char* steps_ahead = std::getenv("LMDEPLOY_TEST_STEPS_AHEAD");
    options.steps_ahead = steps_ahead == nullptr ? 0 : std::atoi(steps_ahead);
    return options;
  }
};

}  // namespace lmdeploy::testing
