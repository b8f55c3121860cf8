#pragma once
#include "quantize/block_runner.h"
#include "quantize/calibration_samples.h"
#include "quantize/recipe.h"

namespace lmdeploy {

// What can be known before any work. Throws Error: the folder is quantised already; the format has no such
// bits; the group size does not divide a layer's inputs (with those that do); the recipe needs samples;
// samples longer than the model's context.
void check_recipe(const BlockSource& source, const Recipe& recipe, const SampleOptions& samples);

// Throws Error where the disk of `folder`, which need not exist yet, has no room for what the run will write.
void check_space(const std::filesystem::path& folder, const BlockSource& source, const Recipe& recipe,
                 const SampleOptions& samples);

}  // namespace lmdeploy
