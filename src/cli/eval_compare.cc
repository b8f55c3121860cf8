// lmdeploy eval compare: what one model, or one setting, loses against another on a text file.
#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/format_bytes.h"
#include "base/log.h"
#include "cli/command.h"
#include "cli/device_choice.h"
#include "cli/engine_loader.h"
#include "cli/say.h"
#include "cli/text_tokens.h"
#include "model/compute_context.h"
#include "quantize/compare.h"

namespace lmdeploy::cli {
namespace {

// One side of the comparison.
struct Side {
  ModelOptions model;
  EngineFlags engine;
};

struct Options {
  Side a, b;
  std::string text;
  CompareOptions compare;
  std::string device = "auto";
  bool eager = false;
  bool deterministic = false;
  int num_threads = 0;
  bool json = false;
};

// A side that was loaded.
struct Loaded {
  ModelSource source;
  std::unique_ptr<const Model> model;
};

Loaded load(Ctx& ctx, const Side& side) {
  Loaded loaded;
  loaded.source = find_model(side.model);
  loaded.model =
      load_weights(ctx, loaded.source, load_hf_config(loaded.source.folder), side.model.dtype, side.engine);
  return loaded;
}

// Both sides must read the same tokens, or nothing could be compared.
std::vector<TokenId> tokenize(const Options& options, const Loaded& a, const Loaded& b) {
  std::vector<TokenId> ids = tokenize_file(a.source.folder, options.text);
  if (a.source.folder == b.source.folder) return ids;
  const std::vector<TokenId> others = tokenize_file(b.source.folder, options.text);
  if (ids == others) return ids;
  const auto [first, other] = std::mismatch(ids.begin(), ids.end(), others.begin(), others.end());
  throw Error(
      fmt::format("{} and {} cut {} into different tokens: {} and {}, the first {} are equal", a.source.name,
                  b.source.name, options.text, ids.size(), others.size(), first - ids.begin()),
      "Compare a model with its own quantised forms; their tokenizer files are copies.");
}

std::int64_t kv_token_bytes(const ModelInfo& info) {
  return KvPool::block_bytes(info.kv_layout, info.num_layers) / info.kv_layout.block_len;
}

nlohmann::ordered_json to_json(const Side& side, const ModelInfo& info, const Perplexity& result) {
  return {{"model", side.model.model},         {"dtype", side.model.dtype},
          {"perplexity", result.perplexity},   {"nll", result.nll},
          {"tokens", result.tokens},           {"seconds", result.seconds},
          {"weight_bytes", info.weight_bytes}, {"kv_token_bytes", kv_token_bytes(info)}};
}

void print_json(const Options& options, const Loaded& a, const Loaded& b, const Comparison& found) {
  const nlohmann::ordered_json report{
      {"a", to_json(options.a, a.model->info(), found.a)},
      {"b", to_json(options.b, b.model->info(), found.b)},
      {"kl", {{"mean", found.mean_kl}, {"p99", found.p99_kl}, {"max", found.max_kl}}},
      {"positions", found.num_positions},
      {"changed_tokens", found.num_changed},
      {"changed_share", found.changed_share()}};
  fmt::print("{}\n", report.dump());
}

void print_side(const char* label, const Side& side, const ModelInfo& info, const Perplexity& result) {
  fmt::print("{}  {:<40}  {:>12}  {:>10}  {:>9}\n", label, side.model.model, format_bytes(info.weight_bytes),
             format_bytes(kv_token_bytes(info)), fmt::format("{:.4f}", result.perplexity));
}

void print_text(const Options& options, const Loaded& a, const Loaded& b, const Comparison& found) {
  fmt::print("   {:<40}  {:>12}  {:>10}  {:>9}\n", "", "weights", "KV a token", "perplexity");
  print_side("A", options.a, a.model->info(), found.a);
  print_side("B", options.b, b.model->info(), found.b);
  fmt::print("KL(A || B) in nats: mean {:.6f}, 99th percentile {:.6f}, most {:.6f}\n", found.mean_kl,
             found.p99_kl, found.max_kl);
  fmt::print("most likely token changed at {} of {} positions ({:.2f} %)\n", found.num_changed,
             found.num_positions, 100 * found.changed_share());
}

int compare(const Options& options) {
  init_log(options.a.model.log_level);
  ComputeContext compute(find_device(options.device), options.num_threads, 0, options.eager);
  compute.ctx().deterministic = options.deterministic;
  const Loaded a = load(compute.ctx(), options.a), b = load(compute.ctx(), options.b);
  const std::vector<TokenId> ids = tokenize(options, a, b);
  const Comparison found = compare_models(
      compute.ctx(), *a.model, *b.model, ids, options.compare, [](const CompareProgress& progress) {
        say(fmt::format("window {} of {}: mean KL so far {:.6f}", progress.num_windows_done,
                        progress.num_windows, progress.mean_kl));
      });
  (options.json ? print_json : print_text)(options, a, b, found);
  return 0;
}

// What A and B may differ in, with the side's letter behind each name.
void add_side_options(CLI::App& app, Side& side, char letter) {
  const auto add = [&](const char* name, auto& value, const std::string& what, const char* values) {
    const std::string default_value = fmt::format("{}", value);
    app.add_option(fmt::format("--{}-{}", name, letter), value, fmt::format("{} ({})", what, default_value))
        ->option_text(values);
  };
  const char upper = letter == 'a' ? 'A' : 'B';
  add("dtype", side.model.dtype,
      fmt::format("Arithmetic of {}: float32 (what its weights say, at 4 bytes a weight), bfloat16, float16, "
                  "or auto, its own",
                  upper),
      "NAME");
  add("quant-policy", side.engine.quant_policy,
      fmt::format("Bits of {}'s KV cache: 0 (its dtype's own), 8 or 4", upper), "0|4|8");
  app.add_option(fmt::format("--w4-arithmetic-{}", letter), side.engine.w4_arithmetic,
                 fmt::format("How {}'s quantised weights are multiplied (fast; on a card exact)", upper))
      ->option_text("fast|exact");
  add("head-bits", side.engine.head_bits, fmt::format("Bits of the weights that make {}'s logits", upper),
      "16|8");
}

void add_sides(CLI::App& app, Options& options) {
  app.add_option("A", options.a.model.model, "The reference: a model folder, a .gguf file or a hub name")
      ->option_text(" ")
      ->required();
  app.add_option("B", options.b.model.model, "What is compared with it; default: A with B's settings")
      ->option_text(" ");
  add_side_options(app, options.a, 'a');
  add_side_options(app, options.b, 'b');
}

}  // namespace

Action setup_eval_compare(CLI::App& app) {
  auto options = std::make_shared<Options>();
  options->a.model.dtype = "float32";
  add_sides(app, *options);
  app.add_option("--text", options->text, "Text file; its bytes are taken as they are")
      ->option_text("FILE")
      ->required();
  app.add_option("--window", options->compare.window, "Tokens that are read from an empty cache (2048)")
      ->option_text("N")
      ->check(CLI::Range(2, 1 << 24));
  app.add_option("--max-windows", options->compare.max_windows, "Stop after so many windows (16); 0: all")
      ->option_text("N")
      ->check(CLI::Range(0, 1 << 30));
  app.add_flag("--json", options->json, "One JSON object on stdout");
  add_device_option(app, options->device, "Where to compute: auto, cuda or cpu (auto)");
  add_eager_option(app, options->eager);
  add_deterministic_option(app, options->deterministic);
  app.add_option("--num-threads", options->num_threads, "Threads that compute; default: every usable CPU")
      ->option_text("N")
      ->check(CLI::Range(1, 4096));
  app.add_option("--download-dir", options->a.model.download_dir,
                 "Where hub downloads go instead of the hub's cache")
      ->option_text("DIR");
  app.add_option("--log-level", options->a.model.log_level,
                 "CRITICAL, ERROR, WARNING (default), INFO or DEBUG")
      ->option_text("NAME");
  return [options] {
    if (options->b.model.model.empty()) options->b.model.model = options->a.model.model;
    options->b.model.download_dir = options->a.model.download_dir;
    return compare(*options);
  };
}

}  // namespace lmdeploy::cli
