// lmdeploy lite: the command lines are understood; the work is not built yet.
#include <memory>

#include "cli/command.h"
#include "cli/usage_error.h"

namespace lmdeploy::cli {
namespace {

[[noreturn]] int refuse(const char* command) {
  throw UsageError(fmt::format("lmdeploy lite {} is not built yet", command),
                   "Today models run as they are: lmdeploy chat MODEL, lmdeploy serve api_server MODEL.");
}

void add_common(CLI::App& app) {
  app.add_option("MODEL")->description("A model folder or a hub name")->required();
  app.add_option("--work-dir")->description("Folder of the result (work_dir)")->option_text("DIR");
  app.add_option("--calib-dataset")
      ->description("ptb, wikitext2, c4, pileval, or a local text file")
      ->option_text("NAME|FILE");
  app.add_option("--calib-samples")->description("Sequences; 0: without data (128)")->option_text("N");
  app.add_option("--calib-seqlen")->description("Tokens of each sequence (2048)")->option_text("N");
  app.add_option("--batch-size")->description("Sequences at once (1)")->option_text("N");
  app.add_flag("--search-scale")->description("Search each block's scales (off)");
  app.add_option("--dtype")->description("auto, float16 or bfloat16")->option_text("NAME");
  app.add_option("--device")->description("cpu or cuda")->option_text("NAME");
  app.add_option("--revision")->description("Branch, tag or commit of a hub name")->option_text("NAME");
  app.add_option("--download-dir")->description("Where hub downloads go")->option_text("DIR");
  app.add_flag("--trust-remote-code")->description("Without effect: code in a folder is never run");
}

void add_weight_options(CLI::App& app) {
  app.add_option("--w-bits")->description("Bits of a weight (4)")->option_text("N");
  app.add_flag("--w-sym")->description("Symmetric quantisation, without zero points");
  app.add_option("--w-group-size")->description("Weights that share a scale (128)")->option_text("N");
}

}  // namespace

Action setup_lite_auto_awq(CLI::App& app) {
  add_common(app);
  add_weight_options(app);
  return [] { return refuse("auto_awq"); };
}

Action setup_lite_auto_gptq(CLI::App& app) {
  add_common(app);
  add_weight_options(app);
  return [] { return refuse("auto_gptq"); };
}

Action setup_lite_calibrate(CLI::App& app) {
  add_common(app);
  return [] { return refuse("calibrate"); };
}

Action setup_lite_smooth_quant(CLI::App& app) {
  add_common(app);
  app.add_option("--quant-dtype")
      ->description("int8, fp8, float8_e4m3fn or float8_e5m2")
      ->option_text("NAME");
  return [] { return refuse("smooth_quant"); };
}

}  // namespace lmdeploy::cli
