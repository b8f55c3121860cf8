#pragma once
#include <cstdint>

#include "engine/engine.h"
#include "engine/scheduler.h"
#include "model/model.h"

namespace lmdeploy {

// Prompt tokens that a step computes at most.
std::int32_t max_prompt_tokens(const EngineOptions& options) noexcept;

// EngineOptions::steps_ahead, 0 or 1.
int num_steps_ahead(const EngineOptions& options) noexcept;

// Threads that make the masks of answers with a form. They work beside the device; on the CPU they take from
// the threads that compute.
int num_mask_threads(const EngineOptions& options);

// What the scheduler is told of the options, the model and, until steps were measured, of the device. Throws
// Error where the cache holds no block.
SchedulerOptions scheduler_options(const EngineOptions& options, const ModelInfo& info);

}  // namespace lmdeploy
