#include "cli/server_options.h"

#include <cmath>
#include <functional>
#include <map>

#include "base/error.h"
#include "cli/byte_size.h"
#include "cli/compatibility.h"
#include "cli/environment.h"
#include "cli/usage_error.h"

namespace lmdeploy::cli {
namespace {

constexpr const char* kGroup = "Server";
constexpr const char* kLimitGroup = "Limits of a server (beyond them a request is refused at once)";
constexpr const char* kTimeGroup = "Times of a server, in seconds";
constexpr int kMaxCount = 1 << 30;

void add_list(CLI::App& app, const char* name, std::vector<std::string>& values, const char* description) {
  app.add_option(name, values, description)
      ->option_text("X...")
      ->expected(1, CLI::detail::expected_max_vector_size)
      ->group(kGroup);
}

template <typename Count>
void add_count(CLI::App& app, const char* name, Count& value, const char* description, int min = 1) {
  app.add_option(name, value, description)
      ->option_text("N")
      ->check(CLI::Range(min, kMaxCount))
      ->group(kLimitGroup);
}

void add_bytes(CLI::App& app, const char* name, std::size_t& value, const char* description) {
  app.add_option_function<std::string>(
         name, [&value](const std::string& text) { value = static_cast<std::size_t>(parse_bytes(text)); },
         description)
      ->option_text("SIZE")
      ->check([](const std::string& text) {
        try {
          return parse_bytes(text) > 0 ? std::string() : "expected a size over 0";
        } catch (const Error& error) {
          return error.problem();
        }
      })
      ->group(kLimitGroup);
}

template <typename Duration>
void add_seconds(CLI::App& app, const char* name, Duration& value, const char* description, double min) {
  app.add_option_function<double>(
         name,
         [&value](double seconds) {
           value = std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds));
         },
         description)
      ->option_text("S")
      ->check(CLI::Range(min, 1e6))
      ->group(kTimeGroup);
}

void add_address(CLI::App& app, ServerFlags& flags) {
  ServerOptions& server = flags.server;
  app.add_option("--server-name", server.server_name, "Address to listen on (0.0.0.0: every one)")
      ->option_text("HOST")
      ->group(kGroup);
  app.add_option("--server-port", server.server_port,
                 fmt::format("Port to listen on ({}); 0: any free one", server.server_port))
      ->option_text("N")
      ->group(kGroup);
  app.add_option("--model-name", flags.model_name,
                 "What /v1/models calls the model; default: MODEL as written")
      ->option_text("NAME")
      ->group(kGroup);
}

void add_embedding(CLI::App& app, ServerFlags& flags) {
  const std::map<std::string, Pooling> poolings{{"last", Pooling::last}, {"mean", Pooling::mean}};
  app.add_option("--embedding-pooling", flags.server.embedding_pooling,
                 "Of /v1/embeddings where a request does not say: last (default), the last token's state, or "
                 "mean, of "
                 "all tokens'")
      ->option_text("NAME")
      ->transform(CLI::CheckedTransformer(poolings))
      ->group(kGroup);
}

void add_access(CLI::App& app, ServerFlags& flags) {
  ServerOptions& server = flags.server;
  app.add_option(
         "--api-keys", server.api_keys,
         "Keys of which a request must carry one, as `Authorization: Bearer KEY` or `x-api-key: KEY`; "
         "default: none is asked for")
      ->option_text("KEY...")
      ->expected(0, CLI::detail::expected_max_vector_size)
      ->group(kGroup);
  app.add_flag("--ssl", flags.ssl, "TLS, with the PEM files that SSL_KEYFILE and SSL_CERTFILE name")
      ->group(kGroup);
  add_list(app, "--allow-origins", server.allow_origins, "CORS: origins (*)");
  add_list(app, "--allow-methods", server.allow_methods, "CORS: methods (*)");
  add_list(app, "--allow-headers", server.allow_headers, "CORS: headers (*)");
  app.add_flag("--allow-credentials", server.allow_credentials, "CORS: let browsers send credentials")
      ->group(kGroup);
}

void add_pages(CLI::App& app, ServerFlags& flags) {
  app.add_flag("--disable-metrics", flags.server.disable_metrics, "No /metrics, and nothing is counted")
      ->group(kGroup);
  app.add_flag("--disable-fastapi-docs", flags.server.disable_fastapi_docs,
               "No documentation page at / and no /openapi.json")
      ->group(kGroup);
  app.add_flag("--disable-page", flags.server.disable_page, "No chat page at /chat")->group(kGroup);
}

void add_log(CLI::App& app, ServerFlags& flags) {
  app.add_option("--max-log-len", flags.server.max_log_len,
                 "At level INFO: the first N characters of each prompt; default: prompts are not logged")
      ->option_text("N")
      ->check(CLI::Range(0, kMaxCount))
      ->group(kGroup);
  app.add_option("--log-format", flags.log_format, "text (default) or json: one object a line")
      ->option_text("NAME")
      ->check(CLI::IsMember({"text", "json"}))
      ->group(kGroup);
}

void add_limits(CLI::App& app, ServerFlags& flags) {
  ServerOptions& server = flags.server;
  add_count(app, "--max-concurrent-requests", server.max_concurrent_requests,
            "Answers at once; more are told 429. Default: the queue below decides", 0);
  add_count(app, "--max-queue-len", flags.max_queue_len,
            "Requests that wait for a place among --max-batch-size (1024); more are told 429", 0);
  add_count(app, "--max-queue-tokens", flags.max_queue_tokens,
            "Prompt tokens of the requests that wait (1048576); more are told 429");
  add_count(app, "--max-connections", server.max_connections, "Open connections (4096); more are told 503");
  add_count(app, "--max-sessions", server.max_sessions, "Sessions of /v1/chat/interactive (4096)");
  add_count(app, "--max-stored-responses", server.max_stored_responses,
            "Answers of /v1/responses that are kept (4096); 0: none", 0);
  add_bytes(app, "--max-body-size", server.max_body_bytes, "Of a request's body (4MiB)");
  add_bytes(app, "--max-header-size", server.max_header_bytes, "Of a request's header (16KiB)");
  add_count(app, "--max-n", server.limits.max_choices, "Answers to one prompt: `n` (16)");
  add_count(app, "--max-prompts", server.limits.max_prompts, "Prompts of one completions request (64)");
  add_count(app, "--max-embedding-inputs", server.limits.max_embedding_inputs,
            "Inputs of one request for embeddings (2048)");
  add_count(app, "--max-stop", server.limits.max_stop_strings, "Stop strings of a request (16)", 0);
  add_count(app, "--max-stop-len", server.limits.max_stop_string_bytes, "Bytes of a stop string (256)");
  add_count(app, "--max-logprobs", server.limits.max_top_logprobs,
            "Likeliest tokens beside each token of an answer (20)", 0);
  add_count(app, "--max-logit-bias", server.limits.max_logit_bias, "Tokens of a request's logit_bias (512)",
            0);
}

void add_times(CLI::App& app, ServerFlags& flags) {
  ServerOptions& server = flags.server;
  add_seconds(app, "--request-timeout", server.request_timeout,
              "An answer that takes longer ends with an error; default: none does", 0);
  add_seconds(app, "--drain-timeout", server.drain_timeout,
              "After SIGTERM or Ctrl-C for what runs to end (30); a second signal ends it at once", 0);
  add_seconds(app, "--session-timeout", server.session_timeout,
              "After which an unused session is forgotten (600)", 1);
  add_seconds(app, "--header-timeout", server.header_timeout, "For a request's header to come (10)", 0.001);
  add_seconds(app, "--body-timeout", server.body_timeout, "For a request's body to come (60)", 0.001);
  add_seconds(app, "--write-timeout", server.write_timeout, "For a client to take what is sent (30)", 0.001);
  add_seconds(app, "--keep-alive-timeout", server.idle_timeout, "Between two requests of a connection (75)",
              0.001);
}

}  // namespace

void add_server_options(CLI::App& app, ServerFlags& flags) {
  add_address(app, flags);
  add_access(app, flags);
  add_embedding(app, flags);
  add_pages(app, flags);
  add_log(app, flags);
  add_limits(app, flags);
  add_times(app, flags);
  add_restricted_options(app, kRestrictedByServer);
  add_accepted_options(app, kAcceptedByServer);
}

ServerOptions server_options(const ServerFlags& flags) {
  ServerOptions server = flags.server;
  if (!flags.ssl) return server;
  const auto key = environment_variable("SSL_KEYFILE");
  const auto cert = environment_variable("SSL_CERTFILE");
  if (!key || !cert)
    throw UsageError(fmt::format("--ssl: {} is not set", key ? "SSL_CERTFILE" : "SSL_KEYFILE"),
                     "Set SSL_KEYFILE and SSL_CERTFILE to PEM files: the private key, and the certificate "
                     "with those that signed it.");
  server.ssl_keyfile = *key;
  server.ssl_certfile = *cert;
  return server;
}

}  // namespace lmdeploy::cli
