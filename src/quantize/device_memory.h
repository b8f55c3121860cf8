#pragma once
#include "quantize/block_runner.h"
#include "quantize/recipe.h"

namespace lmdeploy {

// What quantising a layer takes of the memory of a card, at most, without the samples before and behind it:
// weights, scratch, what is gathered of its activations, and once the embeddings.
std::int64_t layer_work_bytes(const BlockSource& source, const Recipe& recipe, const StreamShape& shape);

}  // namespace lmdeploy
