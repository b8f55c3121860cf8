#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/command.h"

namespace lmdeploy::cli {

// What the command line asks for.
struct Invocation {
  std::string command;              // "serve api_server"; empty where only text is to be printed
  std::optional<std::string> text;  // help or version: print it and exit with `exit_code`
  int exit_code = 0;                // of `text`
  Action action;                    // otherwise: run it
};

// The whole tree of commands with its help, built from the tables of commands.cc.
class CommandLine {
 public:
  CommandLine();
  ~CommandLine();

  // words: without the program's name. Throws UsageError. May be called once.
  Invocation parse(const std::vector<std::string>& words);

 private:
  struct Leaf {
    const Command* command;
    CLI::App* app;
    Action action;
  };
  Invocation invocation() const;

  std::unique_ptr<CLI::App> root_;
  std::vector<Leaf> leaves_;
};

}  // namespace lmdeploy::cli
