// lmdeploy serve gradio: the chat page, in front of a model that is loaded here or of a server elsewhere.
#include <algorithm>
#include <array>
#include <filesystem>
#include <memory>

#include "base/error.h"
#include "base/log.h"
#include "cli/api_server.h"
#include "cli/command.h"
#include "cli/descriptor_limit.h"
#include "cli/say.h"
#include "cli/usage_error.h"
#include "client/http_client.h"
#include "proxy/page_proxy.h"

namespace lmdeploy::cli {
namespace {

constexpr std::uint16_t kPort = 6006;  // of LMDeploy's gradio

// A model is a folder, a file or owner/name; what else holds a colon is a server, as in LMDeploy.
bool is_url(const std::string& text) {
  if (text.starts_with("http://") || text.starts_with("https://")) return true;
  return text.find(':') != std::string::npos && !std::filesystem::exists(text);
}

// What holds of the page's own port; the model is another server's affair.
constexpr std::array<std::string_view, 17> kOfPort{"--help",
                                                   "--server-name",
                                                   "--server-port",
                                                   "--ssl",
                                                   "--log-level",
                                                   "--log-format",
                                                   "--max-connections",
                                                   "--max-body-size",
                                                   "--drain-timeout",
                                                   "--max-header-size",
                                                   "--header-timeout",
                                                   "--body-timeout",
                                                   "--write-timeout",
                                                   "--keep-alive-timeout",
                                                   "--share",
                                                   "--backend",
                                                   "--trust-remote-code"};

struct Options {
  ApiServerOptions server;
  std::vector<std::string> given;  // names of the options that the user wrote
  bool share = false;
};

std::vector<std::string> given_options(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options())
    if (option->count() > 0 && option->get_name().starts_with("--")) names.push_back(option->get_name());
  return names;
}

void refuse_model_options(const std::vector<std::string>& given) {
  for (const std::string& name : given)
    if (std::find(kOfPort.begin(), kOfPort.end(), name) == kOfPort.end())
      throw UsageError(fmt::format("{} is of no use where the model is served elsewhere", name),
                       "Give it to the api_server at that URL, or name a MODEL instead of the URL.");
}

int proxy(const ApiServerOptions& options) {
  init_log(options.model.log_level, options.server.log_format == "json");
  const ServerOptions server_opts = server_options(options.server);
  raise_descriptor_limit(server_opts.max_connections);
  const std::string upstream = normalized_upstream(options.model.model);
  PageProxy page(server_opts, upstream);
  client::HttpOptions patience;
  patience.connect_timeout = patience.stall_timeout = std::chrono::seconds(2);
  const client::HttpResponse health =
      client::HttpClient(patience).send({"GET", upstream + "/health", {}, {}});
  if (health.status == 0)
    say(fmt::format("{} does not answer yet ({}); the page goes on trying", upstream, health.failure));
  say(fmt::format("Chat page: {}, in front of {} (Ctrl-C stops)", url_of(server_opts, page.port()),
                  upstream));
  page.run();
  say("Stopped");
  return 0;
}

int serve(Options& options) {
  if (options.share)
    throw UsageError("--share: there is no public link, which would lead all you write through a third party",
                     "Forward the port instead, as with: ssh -N -L 6006:localhost:6006 HOST");
  options.server.server.server.page_at_root = true;
  if (!is_url(options.server.model.model)) return run_api_server(options.server);
  refuse_model_options(options.given);
  return proxy(options.server);
}

}  // namespace

Action setup_serve_gradio(CLI::App& app) {
  auto options = std::make_shared<Options>();
  options->server.server.server.server_port = kPort;
  add_api_server_options(app, options->server);
  app.get_option("MODEL")->description(
      "A model, as of api_server; or the URL of a running api_server, whose API passes through this port "
      "too");
  app.add_flag("--share", options->share, "Of LMDeploy: a public link; not offered")->group("Server");
  app.parse_complete_callback([&app, options] { options->given = given_options(app); });
  return [options] { return serve(*options); };
}

}  // namespace lmdeploy::cli
