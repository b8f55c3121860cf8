#pragma once
#include <CLI/App.hpp>
#include <string>

#include "server/server.h"

namespace lmdeploy::cli {

// The options of the HTTP server, read into the server's own struct.
struct ServerFlags {
  ServerOptions server;
  std::string model_name;  // empty: MODEL as the user wrote it
};
void add_server_options(CLI::App& app, ServerFlags& flags);

}  // namespace lmdeploy::cli
