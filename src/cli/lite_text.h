#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "cli/lite_options.h"

namespace lmdeploy::cli {

// The texts of one `lmdeploy lite`, as tokens: what the model is calibrated with, and what its loss is
// measured on.
struct LiteText {
  CalibrationSamples samples;                // none: without data
  std::string calibration_dataset;           // a file or a name of the hub's
  std::vector<std::int32_t> evaluation_ids;  // empty: not measured
  std::string evaluation_file;
  std::string no_evaluation;  // why not
};

// Reads --calib-dataset, a local file or a name of the hub's, and --eval-text, whose bytes are taken as they
// are. Without --eval-text the end of a calibration text that is long enough is held out. Throws Error.
LiteText load_lite_text(const LiteOptions& options, const std::filesystem::path& model_folder);

}  // namespace lmdeploy::cli
