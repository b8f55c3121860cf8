#pragma once
#include <CLI/App.hpp>
#include <string>

#include "cli/model_options.h"
#include "quantize/calibration_samples.h"
#include "quantize/recipe.h"

namespace lmdeploy::cli {

// What `lmdeploy lite` was asked for, whatever the command.
struct LiteOptions {
  std::string command;  // auto_awq, auto_gptq, smooth_quant, calibrate
  ModelOptions model;
  std::string work_dir = "./work_dir";
  std::string calib_dataset = "ptb";
  SampleOptions samples;
  bool resume = false;
  int num_threads = 0;  // 0: all usable CPUs
  std::string device = "auto";
  std::string memory_limit;  // of the card; empty: none

  std::int32_t w_bits = 4;
  std::int64_t w_group_size = 128;
  bool w_sym = false;
  bool search_scale = false;
  bool gptq = false;  // auto_awq: after scaling

  bool no_eval = false;
  std::string eval_text;  // empty: the end of the calibration text
  std::int64_t eval_windows = 16;

  Recipe recipe() const;
};

void add_lite_options(CLI::App& app, LiteOptions& options);
void add_lite_weight_options(CLI::App& app, LiteOptions& options);
void add_lite_eval_options(CLI::App& app, LiteOptions& options);

}  // namespace lmdeploy::cli
