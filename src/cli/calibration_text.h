#pragma once
#include <cstdint>
#include <filesystem>
#include <vector>

namespace lmdeploy::cli {

// A page of varied text as the folder's tokenizer reads it, at most 512 tokens, for what is measured on a
// model when it is loaded. Empty where the folder has no tokenizer.
std::vector<std::int32_t> calibration_ids(const std::filesystem::path& folder);

}  // namespace lmdeploy::cli
