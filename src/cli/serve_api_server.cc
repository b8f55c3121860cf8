// lmdeploy serve api_server: one model behind OpenAI's HTTP API.
#include <memory>

#include "cli/api_server.h"
#include "cli/command.h"

namespace lmdeploy::cli {

Action setup_serve_api_server(CLI::App& app) {
  auto options = std::make_shared<ApiServerOptions>();
  add_api_server_options(app, *options);
  return [options] { return run_api_server(*options); };
}

}  // namespace lmdeploy::cli
