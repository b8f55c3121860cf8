#include "cli/sampling_options.h"

namespace lmdeploy::cli {

void add_sampling_options(CLI::App& app, SamplingOptions& options, const char* group) {
  app.add_option("--temperature", options.temperature, "0 always takes the likeliest token")
      ->option_text("X")
      ->check(CLI::Range(0.0, 100.0))
      ->group(group);
  app.add_option("--top-p", options.top_p, "Draw from the likeliest tokens that make up this probability")
      ->option_text("X")
      ->check(CLI::Range(0.0, 1.0))
      ->group(group);
  app.add_option("--top-k", options.top_k, "Draw from this many likeliest tokens; 0: from all")
      ->option_text("N")
      ->check(CLI::Range(0, 1 << 30))
      ->group(group);
  app.add_option("--min-p", options.min_p,
                 "Leave out tokens below this share of the likeliest one's probability")
      ->option_text("X")
      ->check(CLI::Range(0.0, 1.0))
      ->group(group);
  app.add_option("--repetition-penalty", options.repetition_penalty,
                 "Above 1: tokens that were there are less likely")
      ->option_text("X")
      ->check(CLI::Range(0.01, 100.0))
      ->group(group);
  app.add_option("--seed", options.seed, "The same seed gives the same answers")
      ->option_text("N")
      ->group(group);
  app.add_option("--max-new-tokens,--request-output-len", options.max_new_tokens, "Longest answer in tokens")
      ->option_text("N")
      ->check(CLI::Range(1, 1 << 30))
      ->group(group);
}

}  // namespace lmdeploy::cli
