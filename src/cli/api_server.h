#pragma once
// What `serve api_server` and `serve gradio MODEL` have in common.
#include "cli/model_options.h"
#include "cli/server_options.h"

namespace lmdeploy::cli {

struct ApiServerOptions {
  ModelOptions model;
  EngineFlags engine;
  ChatOptions chat;
  ServerFlags server;
  std::string meta_instruction;
  bool dry_run = false;
};
void add_api_server_options(CLI::App& app, ApiServerOptions& options);

// Serves until it is told to stop.
int run_api_server(const ApiServerOptions& options);

// Where a browser finds the server.
std::string url_of(const ServerOptions& options, std::uint16_t port);

}  // namespace lmdeploy::cli
