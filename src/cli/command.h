#pragma once
#include <CLI/App.hpp>
#include <functional>
#include <span>

namespace lmdeploy::cli {

// What a parsed command line does; returns the exit status. Throws Error.
using Action = std::function<int()>;

// A command declares its options on its own CLI::App and returns what to do once they are parsed.
using Setup = Action (*)(CLI::App& app);

struct Command {
  const char* group;  // "serve" in `lmdeploy serve api_server`; "" at the top level
  const char* name;
  const char* summary;
  const char* example;  // the end of the help: lines that a user can paste
  Setup setup;
};

struct CommandGroup {
  const char* name;
  const char* summary;
};

extern const std::span<const Command> kCommands;
extern const std::span<const CommandGroup> kCommandGroups;

// One per file of the same name.
Action setup_bench_latency(CLI::App& app);
Action setup_bench_serve(CLI::App& app);
Action setup_bench_throughput(CLI::App& app);
Action setup_chat(CLI::App& app);
Action setup_check_env(CLI::App& app);
Action setup_convert(CLI::App& app);
Action setup_eval_compare(CLI::App& app);
Action setup_eval_ppl(CLI::App& app);
Action setup_list(CLI::App& app);
Action setup_lite_auto_awq(CLI::App& app);
Action setup_lite_auto_gptq(CLI::App& app);
Action setup_lite_calibrate(CLI::App& app);
Action setup_lite_smooth_quant(CLI::App& app);
Action setup_plan(CLI::App& app);
Action setup_serve_api_client(CLI::App& app);
Action setup_serve_api_server(CLI::App& app);
Action setup_serve_gradio(CLI::App& app);

}  // namespace lmdeploy::cli
