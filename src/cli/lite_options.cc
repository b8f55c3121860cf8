#include "cli/lite_options.h"

#include <map>

#include "cli/byte_size.h"
#include "cli/compatibility.h"
#include "cli/device_choice.h"

namespace lmdeploy::cli {
namespace {

constexpr auto kFlag = DeclaredOption::Kind::flag;
constexpr auto kValue = DeclaredOption::Kind::value;

constexpr DeclaredOption kAccepted[] = {
    {"--batch-size", kValue, "samples pass one at a time: more at once would not be faster"},
    {"--max-memory", kValue,
     "samples between layers lie on the card, or in files, which the system keeps in memory as it has room; "
     "--memory-limit bounds what is taken of a card"},
    {"--calib-image", kValue, "of vision models"},
};

}  // namespace

Recipe LiteOptions::recipe() const {
  using Scaling = Recipe::Scaling;
  using Rounding = Recipe::Rounding;
  Recipe recipe;
  recipe.bits = w_bits;
  recipe.group_size = w_group_size;
  recipe.symmetric = w_sym;
  if (command == "auto_awq") {
    recipe.scaling = search_scale ? Scaling::search : Scaling::rule;
    recipe.rounding = gptq ? Rounding::gptq : Rounding::nearest;
  } else if (command == "auto_gptq") {
    recipe.scaling = Scaling::none;
    recipe.rounding = Rounding::gptq;
    recipe.format = OutputFormat::gptq;
  } else if (command == "smooth_quant") {
    recipe.scaling = Scaling::smooth;
    recipe.format = OutputFormat::int8_per_token;
    recipe.bits = 8;
    recipe.group_size = -1;
    recipe.symmetric = true;
  } else {
    recipe.scaling = Scaling::none;
    recipe.rounding = Rounding::nothing;
  }
  if (samples.num_samples == 0 && recipe.scaling == Scaling::rule) recipe.scaling = Scaling::none;
  return recipe;
}

void add_lite_options(CLI::App& app, LiteOptions& options) {
  add_model_options(app, options.model);
  app.add_option("--work-dir", options.work_dir, "Folder of the result, new or empty (./work_dir)")
      ->option_text("DIR");
  app.add_option("--calib-dataset", options.calib_dataset,
                 "A text file, or ptb, wikitext2, c4 or pileval, which come from the hub once (ptb)")
      ->option_text("FILE|NAME");
  app.add_option("--calib-samples", options.samples.num_samples, "Pieces of the text; 0: without data (128)")
      ->option_text("N")
      ->check(CLI::Range(0, 1 << 20));
  app.add_option("--calib-seqlen", options.samples.seqlen, "Tokens of each piece (2048)")
      ->option_text("N")
      ->check(CLI::Range(1, 1 << 20));
  const std::map<std::string, SampleOrder> orders{{"random", SampleOrder::random},
                                                  {"sequential", SampleOrder::sequential}};
  app.add_option("--calib-order", options.samples.order,
                 "random: from anywhere in the text; sequential: its first tokens, side by side (random)")
      ->option_text("NAME")
      ->transform(CLI::CheckedTransformer(orders));
  app.add_option("--calib-seed", options.samples.seed, "Of the random places (0)")->option_text("N");
  app.add_flag("--resume", options.resume, "Go on behind the last finished layer of a run that was cut off");
  app.add_option("--num-threads", options.num_threads, "Threads that compute; default: every usable CPU")
      ->option_text("N")
      ->check(CLI::Range(1, 4096));
  add_accepted_options(app, kAccepted);
  add_device_option(app, options.device,
                    "Where to compute: cuda (an NVIDIA card), cpu, or auto, which is cuda where that is "
                    "possible; `lmdeploy check_env` says what it lacks (auto)");
  app.add_option(
         "--memory-limit", options.memory_limit,
         "At most so much of the card's memory, as vendors count it: 24GB is 24 GiB; default: what is "
         "free there")
      ->option_text("SIZE")
      ->check(memory_size_problem);
  app.add_flag("--trust-remote-code")->group("");
}

void add_lite_weight_options(CLI::App& app, LiteOptions& options) {
  app.add_option("--w-bits", options.w_bits, "Bits of a weight, 4 or 8 (4)")
      ->option_text("N")
      ->check(CLI::IsMember({4, 8}));
  app.add_option("--w-group-size", options.w_group_size,
                 "Inputs that share a scale: 32, 64, 128, or -1 for all of a layer's (128)")
      ->option_text("N")
      ->check(CLI::IsMember({32, 64, 128, -1}));
  app.add_flag("--w-sym", options.w_sym, "Symmetric: the zero is in the middle");
}

void add_lite_eval_options(CLI::App& app, LiteOptions& options) {
  app.add_flag("--no-eval", options.no_eval, "Do not measure what was lost as a whole");
  app.add_option("--eval-text", options.eval_text,
                 "Text to measure it on; default: the end of the calibration text, which is then held out")
      ->option_text("FILE");
  app.add_option("--eval-windows", options.eval_windows, "Windows of 2048 tokens to measure it on (16)")
      ->option_text("N")
      ->check(CLI::Range(1, 1 << 20));
}

}  // namespace lmdeploy::cli
