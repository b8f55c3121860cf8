#pragma once
#include <filesystem>
#include <functional>
#include <nlohmann/json_fwd.hpp>

#include "quantize/block_runner.h"
#include "quantize/recipe.h"
#include "quantize/work_folder.h"

namespace lmdeploy {

// Called with the bytes of weights written so far, and in all.
using OutputProgress = std::function<void(std::int64_t done_bytes, std::int64_t total_bytes)>;

// The quantised model: the finished layers' tensors in place of the source's, config.json with
// quantization_config, and every other file of the source as it is (tokenizer, template, generation_config,
// *.py). Returns the bytes of weights.
std::int64_t write_model_folder(const BlockSource& source, const Recipe& recipe, const WorkFolder& work,
                                const std::filesystem::path& target, const OutputProgress& progress);

// The finished layers' tensors alone, as activation_statistics.safetensors.
void write_statistics_folder(const WorkFolder& work, const std::filesystem::path& target);

}  // namespace lmdeploy
