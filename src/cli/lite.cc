// lmdeploy lite: a smaller model, or what it takes to make one.
#include <memory>

#include "cli/command.h"
#include "cli/lite_options.h"
#include "cli/lite_run.h"

namespace lmdeploy::cli {
namespace {

std::shared_ptr<LiteOptions> declare(CLI::App& app, const char* command) {
  auto options = std::make_shared<LiteOptions>();
  options->command = command;
  add_lite_options(app, *options);
  return options;
}

}  // namespace

Action setup_lite_auto_awq(CLI::App& app) {
  const auto options = declare(app, "auto_awq");
  add_lite_weight_options(app, *options);
  app.add_flag("--search-scale", options->search_scale,
               "Search each input's scales for the least error, with clipping: slower, better (off)");
  app.add_flag(
      "--gptq", options->gptq,
      "Round by GPTQ after scaling, in AWQ's format; with --search-scale True the best of all, slower (off)");
  add_lite_eval_options(app, *options);
  return [options] { return run_lite(*options); };
}

Action setup_lite_auto_gptq(CLI::App& app) {
  const auto options = declare(app, "auto_gptq");
  add_lite_weight_options(app, *options);
  app.add_flag("--search-scale")->group("");
  add_lite_eval_options(app, *options);
  return [options] { return run_lite(*options); };
}

Action setup_lite_calibrate(CLI::App& app) {
  const auto options = declare(app, "calibrate");
  app.add_flag("--search-scale")->group("");
  return [options] { return run_lite(*options); };
}

Action setup_lite_smooth_quant(CLI::App& app) {
  const auto options = declare(app, "smooth_quant");
  app.add_flag("--search-scale")->group("");
  app.add_option("--quant-dtype")->description("int8; fp8 is not built yet (int8)")->option_text("NAME");
  add_lite_eval_options(app, *options);
  return [options] { return run_lite(*options); };
}

}  // namespace lmdeploy::cli
