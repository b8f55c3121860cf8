#pragma once
#include <cstdint>

#include "engine/engine.h"
#include "model/model.h"

namespace lmdeploy {

// Scratch that the largest steps of an engine take, bytes: EngineOptions::workspace_bytes. The engine's own
// code runs these steps, on a pool that skips its loops and a cache of one block, so nothing is computed and
// neither the model's weights nor the logits are touched.
std::int64_t max_workspace_bytes(const Model& model, const EngineOptions& options);

}  // namespace lmdeploy
