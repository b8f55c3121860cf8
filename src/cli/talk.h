#pragma once
#include <CLI/App.hpp>
#include <string>

#include "cli/repl.h"

namespace lmdeploy::cli {

// What both chats in the terminal have in common.
struct TalkOptions {
  bool stats = false;
};
void add_talk_options(CLI::App& app, TalkOptions& options);

// Talks with the user of this process until he leaves. system_message: empty for none.
void talk(ReplBackend& backend, const TalkOptions& options, const std::string& system_message);

}  // namespace lmdeploy::cli
