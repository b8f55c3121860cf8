// lmdeploy eval ppl: perplexity on a text file. The bytes are taken as they are and tokenised at once,
// without special tokens; the windows do not overlap.
#include <future>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/log.h"
#include "cli/command.h"
#include "cli/compatibility.h"
#include "cli/device_choice.h"
#include "cli/engine_loader.h"
#include "cli/say.h"
#include "cli/text_tokens.h"
#include "model/compute_context.h"
#include "quantize/evaluate.h"

namespace lmdeploy::cli {
namespace {

struct Options {
  ModelOptions model;
  EngineFlags engine;
  std::string text;
  PerplexityOptions perplexity;
  bool json = false;
};

void print(const Perplexity& result, bool json) {
  if (json) {
    const nlohmann::ordered_json report{{"perplexity", result.perplexity},
                                        {"nll", result.nll},
                                        {"tokens", result.tokens},
                                        {"seconds", result.seconds}};
    fmt::print("{}\n", report.dump());
    return;
  }
  fmt::print("perplexity {:.4f}  (nll {:.6f} over {} tokens, {:.1f} s, {:.0f} tokens/s)\n", result.perplexity,
             result.nll, result.tokens, result.seconds, static_cast<double>(result.tokens) / result.seconds);
}

int evaluate(const Options& options) {
  init_log(options.model.log_level);
  const ModelSource source = find_model(options.model);
  auto ids = std::async(std::launch::async, [&] { return tokenize_file(source.folder, options.text); });
  ComputeContext compute(find_device(options.engine.device), options.engine.num_threads, 0,
                         options.engine.eager);
  compute.ctx().deterministic = options.engine.deterministic;
  const std::unique_ptr<const Model> model =
      load_weights(compute.ctx(), source, load_hf_config(source.folder), options.model.dtype, options.engine);
  const Perplexity result = evaluate_perplexity(
      compute.ctx(), *model, ids.get(), options.perplexity, [](const PerplexityProgress& progress) {
        say(fmt::format("window {} of {}: perplexity so far {:.4f}", progress.num_windows_done,
                        progress.num_windows, progress.perplexity));
      });
  print(result, options.json);
  return 0;
}

}  // namespace

Action setup_eval_ppl(CLI::App& app) {
  auto options = std::make_shared<Options>();
  add_model_options(app, options->model);
  app.add_option("--text", options->text, "Text file; its bytes are taken as they are")
      ->option_text("FILE")
      ->required();
  app.add_option("--window", options->perplexity.window, "Tokens that are read from an empty cache (2048)")
      ->option_text("N")
      ->check(CLI::Range(2, 1 << 24));
  app.add_option("--max-windows", options->perplexity.max_windows, "Stop after so many windows; default: all")
      ->option_text("N")
      ->check(CLI::Range(1, 1 << 30));
  app.add_flag("--json", options->json, "One JSON object on stdout: perplexity, nll, tokens, seconds");
  app.add_option("--num-threads", options->engine.num_threads,
                 "Threads that compute; default: every usable CPU")
      ->option_text("N")
      ->check(CLI::Range(1, 4096));
  add_compute_device(app, options->engine);
  add_quant_policy(app, options->engine);
  add_weight_options(app, options->engine);
  add_restricted_options(app, kRestrictedByEngine);
  add_accepted_options(app, kAcceptedByEngine);
  return [options] { return evaluate(*options); };
}

}  // namespace lmdeploy::cli
