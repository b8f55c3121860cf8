#pragma once
#include <CLI/App.hpp>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "text/dialect.h"

namespace lmdeploy::cli {

// Which model, and how its folder is read. Values are as on the command line; empty: not given.
struct ModelOptions {
  std::string model;  // a folder, a .gguf file or a hub name
  std::string revision;
  std::string download_dir;
  std::string dtype = "auto";
  std::vector<std::string> hf_overrides;  // JSON objects, later ones win
  std::string log_level = "WARNING";
};
void add_model_options(CLI::App& app, ModelOptions& options);

// How the engine uses memory and threads.
struct EngineFlags {
  std::string device = "auto";   // cuda, cpu, or auto: find_device()
  bool eager = false;            // on a card: no graphs
  bool deterministic = false;    // on a card: EngineOptions::deterministic
  std::int32_t session_len = 0;  // 0: the model's own
  std::int32_t max_batch_size = 128;
  std::string cache_max_entry_count = "0.8";  // a fraction of the free memory, or a size such as 8GiB
  std::string memory;  // that the server may take, "24GB"; empty: what the machine, or its card, has free
  std::string memory_limit;  // what the server takes at most of what is there; empty: no limit
  std::int32_t cache_block_seq_len = 64;
  std::int32_t quant_policy = 0;  // 8, 4: bits of a KV cache of codes
  std::int32_t max_prefill_token_num = 8192;
  bool enable_prefix_caching = true;
  std::string model_format;   // what the folder has to hold; empty: whatever it holds
  std::string w4_arithmetic;  // fast or exact; empty: fast on the CPU, exact on a card
  std::int32_t head_bits = 16;
  int num_threads = 0;                                         // 0: all usable CPUs
  std::int32_t max_queue_len = EngineOptions{}.max_queue_len;  // of a server
  std::int64_t max_queue_tokens = EngineOptions{}.max_queue_tokens;
};
void add_engine_options(CLI::App& app, EngineFlags& flags);
// Parts of it; `eval` takes no more.
void add_compute_device(CLI::App& app, EngineFlags& flags);  // --device, --eager, --deterministic
void add_quant_policy(CLI::App& app, EngineFlags& flags);
void add_weight_options(CLI::App& app, EngineFlags& flags);  // --model-format, --w4-arithmetic, --head-bits

// Where the chat template and the sampling defaults come from.
struct ChatOptions {
  std::string chat_template;  // a Jinja file, or a template's source
  std::string generation_config = "auto";
  DialectNames dialect;
};
void add_chat_options(CLI::App& app, ChatOptions& options);
void add_dialect_options(CLI::App& app, DialectNames& names);  // of a server

}  // namespace lmdeploy::cli
