#pragma once
#include <memory>

#include "ops/step_draws.h"

namespace lmdeploy::ops::cuda {

std::unique_ptr<StepDraws> make_step_draws();

}  // namespace lmdeploy::ops::cuda
