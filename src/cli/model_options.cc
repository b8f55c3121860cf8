#include "cli/model_options.h"

#include <CLI/Option.hpp>

#include "base/error.h"
#include "cli/byte_size.h"
#include "cli/compatibility.h"
#include "cli/device_choice.h"
#include "engine/cache_plan.h"

namespace lmdeploy::cli {
namespace {

constexpr const char* kModelGroup = "Model";
constexpr const char* kEngineGroup = "Engine";

// A check of CLI11: what is wrong, or nothing.
std::string cache_size_problem(const std::string& text) {
  try {
    parse_cache_size(text);
    return {};
  } catch (const Error& error) {
    return error.what();
  }
}

}  // namespace

void add_model_options(CLI::App& app, ModelOptions& options) {
  app.add_option("MODEL", options.model,
                 "A model folder, a .gguf file (converted once into a cache folder) or a hub name such as "
                 "internlm/internlm2_5-1_8b-chat (downloaded once)")
      ->option_text(" ")
      ->required();
  app.add_option("--revision", options.revision, "Branch, tag or commit of a hub name")
      ->option_text("NAME")
      ->group(kModelGroup);
  app.add_option("--download-dir", options.download_dir, "Where hub downloads go instead of the hub's cache")
      ->option_text("DIR")
      ->group(kModelGroup);
  app.add_option("--dtype", options.dtype,
                 "Number format of weights and cache: auto (the model's own), bfloat16, float16, float32")
      ->option_text("NAME")
      ->group(kModelGroup);
  app.add_option("--hf-overrides", options.hf_overrides,
                 "Values that replace config.json's: a JSON object, or --hf-overrides.KEY.KEY VALUE")
      ->option_text("JSON")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->group(kModelGroup);
  app.add_option("--log-level", options.log_level, "CRITICAL, ERROR, WARNING (default), INFO or DEBUG")
      ->option_text("NAME");
}

void add_weight_options(CLI::App& app, EngineFlags& flags) {
  app.add_option(
         "--model-format", flags.model_format,
         "What the folder holds: hf (not quantised), awq, gptq, compressed-tensors or fp8. config.json says "
         "it by itself; where it says something else the folder is refused")
      ->option_text("NAME")
      ->group(kModelGroup);
  app.add_option(
         "--w4-arithmetic", flags.w4_arithmetic,
         "How weights of 4-bit and 8-bit integers are multiplied: fast (activations rounded to 8 bits, each "
         "group with "
         "its own scale; the default on the CPU, as it loses 0.13 % of perplexity and takes a half to an "
         "eighth of the time) or exact (activations as they are; the default on a card)")
      ->option_text("fast|exact")
      ->group(kEngineGroup);
  app.add_option("--head-bits", flags.head_bits,
                 "Bits of the weights that make the logits: 16, or 8 (rounded at load; half the memory and "
                 "time) (16)")
      ->option_text("16|8")
      ->group(kEngineGroup);
}

void add_compute_device(CLI::App& app, EngineFlags& flags) {
  add_device_option(app, flags.device,
                    "Where to compute: cuda (an NVIDIA card), cpu, or auto, which is cuda where that is "
                    "possible; `lmdeploy check_env` says what it lacks (auto)")
      ->group(kEngineGroup);
  add_eager_option(app, flags.eager)->group(kEngineGroup);
  add_deterministic_option(app, flags.deterministic)->group(kEngineGroup);
}

void add_engine_options(CLI::App& app, EngineFlags& flags) {
  add_compute_device(app, flags);
  app.add_option("--session-len", flags.session_len,
                 "Longest prompt and answer together, in tokens; default: the model's own length")
      ->option_text("N")
      ->check(CLI::Range(1, 1 << 30))
      ->group(kEngineGroup);
  app.add_option("--max-batch-size", flags.max_batch_size, "Requests that are computed together (128)")
      ->option_text("N")
      ->check(CLI::Range(1, 65536))
      ->group(kEngineGroup);
  app.add_option("--cache-max-entry-count", flags.cache_max_entry_count,
                 "Memory of the KV cache: a fraction of what the weights leave of --memory (0.8), or a size "
                 "such as 8GiB or 500MB; `lmdeploy plan MODEL` shows what it comes to")
      ->option_text("X")
      ->check(cache_size_problem)
      ->group(kEngineGroup);
  add_quant_policy(app, flags);
  app.add_option("--memory", flags.memory,
                 "Memory that the server may take, as vendors count it: 24GB is 24 GiB; default: what this "
                 "machine, or its card, has available")
      ->option_text("SIZE")
      ->check(memory_size_problem)
      ->group(kEngineGroup);
  app.add_option("--memory-limit", flags.memory_limit,
                 "At most so much of it, as if the card had no more; default: no limit")
      ->option_text("SIZE")
      ->check(memory_size_problem)
      ->group(kEngineGroup);
  app.add_option("--cache-block-seq-len,--block-size", flags.cache_block_seq_len,
                 "Tokens of one cache block: a multiple of 64 (64)")
      ->option_text("N")
      ->check(CLI::Range(64, 4096))
      ->group(kEngineGroup);
  app.add_option("--max-prefill-token-num", flags.max_prefill_token_num,
                 "Prompt tokens that one step may compute, at most; its time limits them sooner (8192)")
      ->option_text("N")
      ->check(CLI::Range(1, 1 << 24))
      ->group(kEngineGroup);
  app.add_flag("--enable-prefix-caching", flags.enable_prefix_caching,
               "Keep what was computed of a prompt for the next that begins so (True); never across API keys")
      ->option_text("BOOL")
      ->group(kEngineGroup);
  add_weight_options(app, flags);
  app.add_option("--num-threads", flags.num_threads, "Threads that compute; default: every usable CPU")
      ->option_text("N")
      ->check(CLI::Range(1, 4096))
      ->group(kEngineGroup);
  app.add_option("--rope-scaling-factor")
      ->description("Stretch of the positions; other than 0: not built yet, see --hf-overrides")
      ->option_text("X")
      ->group(kEngineGroup);
  add_restricted_options(app, kRestrictedByEngine);
  add_accepted_options(app, kAcceptedByEngine);
}

void add_quant_policy(CLI::App& app, EngineFlags& flags) {
  app.add_option("--quant-policy", flags.quant_policy,
                 "Bits of the KV cache: 0 (the weights' own), 8 or 4; docs/kv_cache.md says what they lose")
      ->option_text("0|4|8")
      ->group(kEngineGroup);
}

void add_dialect_options(CLI::App& app, DialectNames& names) {
  app.add_option(
         "--tool-call-parser", names.tool_call_parser,
         "How the model writes tool calls: internlm, llama3_json, hermes, mistral, or none; default: its "
         "chat template and vocabulary tell. Named, it also serves templates that never read tools: a "
         "system message describes them")
      ->option_text("NAME")
      ->group(kModelGroup);
  app.add_option(
         "--reasoning-parser", names.reasoning_parser,
         "Where the model writes its reasoning: qwen3 (between <think> and </think>), deepseek-r1 (up to "
         "</think>), or none; default: its chat template tells")
      ->option_text("NAME")
      ->group(kModelGroup);
}

void add_chat_options(CLI::App& app, ChatOptions& options) {
  app.add_option("--chat-template", options.chat_template,
                 "A Jinja file that replaces the model's own chat template")
      ->option_text("FILE")
      ->group(kModelGroup);
  app.add_option(
         "--generation-config", options.generation_config,
         "Sampling defaults: auto (the model's generation_config.json), lmdeploy (none of them), or a "
         "folder that holds a generation_config.json")
      ->option_text("auto|lmdeploy|DIR")
      ->group(kModelGroup);
}

}  // namespace lmdeploy::cli
