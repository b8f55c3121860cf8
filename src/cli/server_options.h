#pragma once
#include <CLI/App.hpp>
#include <string>

#include "engine/engine.h"
#include "server/server.h"

namespace lmdeploy::cli {

// The options of the HTTP server, read into the server's own struct.
struct ServerFlags {
  ServerOptions server;
  std::string model_name;  // empty: MODEL as the user wrote it
  bool ssl = false;
  std::string log_format = "text";
  std::int32_t max_queue_len = EngineOptions{}.max_queue_len;
  std::int64_t max_queue_tokens = EngineOptions{}.max_queue_tokens;
};
void add_server_options(CLI::App& app, ServerFlags& flags);

// With the files that --ssl means. Throws UsageError where the environment does not name them.
ServerOptions server_options(const ServerFlags& flags);

}  // namespace lmdeploy::cli
