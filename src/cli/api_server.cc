#include "cli/api_server.h"

#include <optional>

#include "base/error.h"
#include "base/log.h"
#include "cli/descriptor_limit.h"
#include "cli/device_choice.h"
#include "cli/device_watch.h"
#include "cli/loaded_model.h"
#include "cli/plan.h"
#include "cli/plan_table.h"
#include "cli/say.h"
#include "cli/usage_error.h"
#include "server/server.h"

namespace lmdeploy::cli {
namespace {

// What a request's `model` may say; /v1/models shows the first one first.
std::vector<std::string> served_names(const ApiServerOptions& options, const ModelSource& source) {
  if (!options.server.model_name.empty()) return {options.server.model_name};
  std::vector<std::string> names{source.name};
  const std::string last = std::filesystem::path(source.name).filename().string();
  if (last != source.name) names.push_back(last);
  return names;
}

}  // namespace

std::string url_of(const ServerOptions& options, std::uint16_t port) {
  const bool everywhere = options.server_name == "0.0.0.0" || options.server_name == "::";
  const bool is_ipv6 = options.server_name.find(':') != std::string::npos;
  const std::string host = everywhere ? "localhost" : options.server_name;
  const char* scheme = options.ssl_certfile.empty() ? "http" : "https";
  return is_ipv6 && !everywhere ? fmt::format("{}://[{}]:{}", scheme, host, port)
                                : fmt::format("{}://{}:{}", scheme, host, port);
}

int run_api_server(const ApiServerOptions& options) {
  if (!options.meta_instruction.empty())
    throw UsageError("not built yet: --meta-instruction of a server",
                     "Send it as a message of role system, or change the template with --chat-template.");
  if (options.dry_run) return run_plan({.model = options.model, .engine = options.engine});
  check_dialect_names(options.chat.dialect);
  init_log(options.model.log_level, options.server.log_format == "json");
  const ServerOptions server_opts = server_options(options.server);
  raise_descriptor_limit(server_opts.max_connections);
  Server server(server_opts);
  EngineFlags engine = options.engine;
  engine.max_queue_len = options.server.max_queue_len;
  engine.max_queue_tokens = options.server.max_queue_tokens;
  const LoadedModel loaded = load_served_model(
      options.model, engine, options.chat,
      [&](const MemoryEstimate& estimate) { say(plan_text(estimate, options.model.model)); });
  const std::vector<std::string> names = served_names(options, loaded.source);
  const ServedModel served = loaded.served(names);
  server.serve(served);
  const std::string url = url_of(server_opts, server.port());
  say(loaded.summary);
  if (served.chat_template == nullptr)
    say("This model has no chat template: /v1/completions works, chats need --chat-template FILE");
  if (const std::string dialect = describe(served.dialect); !dialect.empty())
    say(fmt::format("Its chats have {}", dialect));
  say(fmt::format("Serving {} at {} (Ctrl-C stops)", names.front(), url));
  if (!server_opts.disable_page)
    say(fmt::format("Chat page: {}{}", url, server_opts.page_at_root ? "" : "/chat"));
  std::optional<DeviceWatch> watch;
  if (find_device(engine.device) != Device::cpu) watch.emplace(*loaded.engine, [&] { server.stop(); });
  server.run();
  if (loaded.engine->lost_device())
    throw Error(
        "the card has failed, and CUDA does not recover from that in one process; the log says how",
        "Start the server again. If that happens again, see in dmesg what the driver (NVRM: Xid) says.");
  say("Stopped");
  return 0;
}

void add_api_server_options(CLI::App& app, ApiServerOptions& options) {
  add_model_options(app, options.model);
  add_chat_options(app, options.chat);
  add_dialect_options(app, options.chat.dialect);
  add_server_options(app, options.server);
  app.add_option("--meta-instruction", options.meta_instruction)->group("");
  add_engine_options(app, options.engine);
  app.add_flag("--dry-run", options.dry_run,
               "Show how the memory would be divided, as `lmdeploy plan` does, and stop there")
      ->group("Engine");
}

}  // namespace lmdeploy::cli
