#pragma once
#include <cstddef>
#include <filesystem>
#include <string>

#include "cli/model_options.h"

namespace lmdeploy::cli {

// About four million tokens: more than anyone calibrates with, in less memory than a layer takes.
inline constexpr std::size_t kMaxCalibrationBytes = 16 << 20;

// "ptb, wikitext2, ...": the names that LMDeploy gives to data sets of the hub.
std::string calibration_dataset_names();

// The text of such a data set as a file, at most kMaxCalibrationBytes of it: fetched from the hub once, with
// progress on stderr, as the hub's environment variables say, and kept in lmdeploy_cache_folder(), from where
// it comes without asking anybody. `model` says where downloads go. Empty where `name` is none of the names.
// Throws Error: what is missing, and what to give instead.
std::filesystem::path calibration_dataset_file(const std::string& name, const ModelOptions& model);

}  // namespace lmdeploy::cli
