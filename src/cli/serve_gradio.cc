// lmdeploy serve gradio: the command line is understood; the page is not built yet.
#include "cli/command.h"
#include "cli/compatibility.h"
#include "cli/usage_error.h"

namespace lmdeploy::cli {

Action setup_serve_gradio(CLI::App& app) {
  app.add_option("MODEL")->description("A model, or the URL of a running api_server")->required();
  app.add_option("--server-name")->description("Address to listen on (0.0.0.0)")->option_text("HOST");
  app.add_option("--server-port")->description("Port to listen on (6006)")->option_text("N");
  app.add_flag("--share")->description("A public link");
  return []() -> int {
    throw UsageError("lmdeploy serve gradio is not built yet",
                     "In the terminal: lmdeploy serve api_client URL, or lmdeploy chat MODEL. "
                     "For programs: lmdeploy serve api_server MODEL.");
  };
}

}  // namespace lmdeploy::cli
