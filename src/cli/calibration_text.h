#pragma once
#include <cstdint>
#include <filesystem>
#include <vector>

#include "text/tokenizer.h"

namespace lmdeploy::cli {

// A page of varied text as a model's tokenizer reads it, at most 512 tokens, for what is measured on the
// model when it is loaded.
std::vector<std::int32_t> calibration_ids(const Tokenizer& tokenizer);
// The same with the folder's tokenizer; empty where it has none. Throws Error.
std::vector<std::int32_t> calibration_ids(const std::filesystem::path& folder);

}  // namespace lmdeploy::cli
