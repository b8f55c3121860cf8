#include "cli/talk.h"

#include "cli/chat_history.h"
#include "cli/environment.h"
#include "cli/terminal.h"

namespace lmdeploy::cli {
namespace {

ChatHistory user_history() {
  const std::optional<std::filesystem::path> folder = user_state_folder();
  return ChatHistory(folder ? std::optional(*folder / "lmdeploy" / "chat_history.jsonl") : std::nullopt);
}

}  // namespace

void add_talk_options(CLI::App& app, TalkOptions& options) {
  app.add_flag("--stats", options.stats,
               "After each answer: tokens, tokens per second, time to first token, prompt and cached tokens");
}

void talk(ReplBackend& backend, const TalkOptions& options, const std::string& system_message) {
  StandardTerminal terminal(user_history());
  Repl(backend, terminal, {system_message, options.stats, home_folder()}).run();
}

}  // namespace lmdeploy::cli
