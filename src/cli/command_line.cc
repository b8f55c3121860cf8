#include "cli/command_line.h"

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>

#include "base/version.h"
#include "cli/arguments.h"
#include "cli/help_formatter.h"
#include "cli/known_values.h"
#include "cli/usage_error.h"

namespace lmdeploy::cli {
namespace {

std::string path_of(const Command& command) {
  return *command.group == '\0' ? command.name : fmt::format("{} {}", command.group, command.name);
}

constexpr const char* kEnvironment =
    "Environment:\n"
    "HF_ENDPOINT, HF_TOKEN, HF_HOME, HF_HUB_CACHE, HF_HUB_OFFLINE   hub downloads, as in Python's "
    "huggingface_hub\n"
    "LMDEPLOY_CACHE                                                 converted GGUF files (~/.cache/lmdeploy)";

std::string version_line() {
  return fmt::format("lmdeploy {}\n", kVersion);
}

// The deepest command that the words name, for its help.
const CLI::App* selected(const CLI::App* app) {
  while (!app->get_subcommands().empty()) app = app->get_subcommands().front();
  return app;
}

std::string help_of(const CLI::App& app) {
  return app.help(app.get_parent() == nullptr ? "" : command_path(*app.get_parent()));
}

}  // namespace

CommandLine::CommandLine()
    : root_(std::make_unique<CLI::App>("Serves, measures and talks to large language models.", "lmdeploy")) {
  root_->formatter(std::make_shared<HelpFormatter>());
  root_->set_help_flag("-h,--help", "Show this help; it works after every command too");
  root_->add_flag("-v,--version")->description("Show the version");
  root_->require_subcommand(0, 1);
  root_->footer(kEnvironment);
  std::vector<CLI::App*> groups;
  for (const CommandGroup& group : kCommandGroups) {
    groups.push_back(root_->add_subcommand(group.name, group.summary));
    groups.back()->group("Commands")->require_subcommand(0, 1);
  }
  for (const Command& command : kCommands) {
    CLI::App* parent = root_.get();
    for (CLI::App* group : groups)
      if (group->get_name() == command.group) parent = group;
    CLI::App* app = parent->add_subcommand(command.name, command.summary);
    app->group("Commands")->footer(fmt::format("Examples:\n{}", command.example));
    leaves_.push_back({&command, app, command.setup(*app)});
  }
}

CommandLine::~CommandLine() = default;

Invocation CommandLine::parse(const std::vector<std::string>& words) {
  std::vector<std::string> reversed = normalize_arguments(*root_, words);
  std::reverse(reversed.begin(), reversed.end());
  try {
    root_->parse(reversed);
  } catch (const CLI::CallForHelp&) {
    return {{}, help_of(*selected(root_.get())), 0, {}};
  } catch (const CLI::RequiredError& error) {
    const CLI::App& app = *selected(root_.get());
    if (root_->count("--version") != 0) return {{}, version_line(), 0, {}};
    throw UsageError(fmt::format("{}: {}", command_path(app), error.what()), app.get_footer());
  } catch (const CLI::ParseError& error) {
    throw UsageError(error.what(), fmt::format("See: {} --help", command_path(*selected(root_.get()))));
  }
  if (root_->count("--version") != 0) return {{}, version_line(), 0, {}};
  return invocation();
}

Invocation CommandLine::invocation() const {
  const CLI::App* app = selected(root_.get());
  for (const Leaf& leaf : leaves_) {
    if (leaf.app != app) continue;
    check_known_values(*app);
    return {path_of(*leaf.command), std::nullopt, 0, leaf.action};
  }
  // A bare `lmdeploy` is a question; a bare `lmdeploy serve` is half a command.
  return {{}, help_of(*app), app == root_.get() ? 0 : 2, {}};
}

}  // namespace lmdeploy::cli
