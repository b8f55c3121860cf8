#include "cli/server_options.h"

#include "cli/compatibility.h"

namespace lmdeploy::cli {

void add_server_options(CLI::App& app, ServerFlags& flags) {
  constexpr const char* kGroup = "Server";
  ServerOptions& server = flags.server;
  app.add_option("--server-name", server.server_name, "Address to listen on (0.0.0.0: every one)")
      ->option_text("HOST")
      ->group(kGroup);
  app.add_option("--server-port", server.server_port, "Port to listen on (23333); 0: any free one")
      ->option_text("N")
      ->group(kGroup);
  app.add_option("--model-name", flags.model_name,
                 "What /v1/models calls the model; default: MODEL as written")
      ->option_text("NAME")
      ->group(kGroup);
  app.add_option("--api-keys", server.api_keys,
                 "Keys of which a request must carry one; default: none is asked for")
      ->option_text("KEY...")
      ->expected(0, CLI::detail::expected_max_vector_size)
      ->group(kGroup);
  app.add_option("--max-concurrent-requests", server.max_concurrent_requests,
                 "Answers at once; more are told 429. Default: the engine's queue decides")
      ->option_text("N")
      ->check(CLI::Range(0, 1 << 30))
      ->group(kGroup);
  app.add_option("--allow-origins", server.allow_origins, "CORS: origins (*)")
      ->option_text("X...")
      ->expected(1, CLI::detail::expected_max_vector_size)
      ->group(kGroup);
  app.add_option("--allow-methods", server.allow_methods, "CORS: methods (*)")
      ->option_text("X...")
      ->expected(1, CLI::detail::expected_max_vector_size)
      ->group(kGroup);
  app.add_option("--allow-headers", server.allow_headers, "CORS: headers (*)")
      ->option_text("X...")
      ->expected(1, CLI::detail::expected_max_vector_size)
      ->group(kGroup);
  app.add_flag("--allow-credentials", server.allow_credentials, "CORS: let browsers send credentials")
      ->group(kGroup);
  add_restricted_options(app, kRestrictedByServer);
  add_accepted_options(app, kAcceptedByServer);
}

}  // namespace lmdeploy::cli
