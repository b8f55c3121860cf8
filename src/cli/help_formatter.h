#pragma once
#include <CLI/App.hpp>
#include <CLI/Formatter.hpp>
#include <string>

namespace lmdeploy::cli {

// "lmdeploy serve api_server": the words that lead to a command.
std::string command_path(const CLI::App& app);

// Help in one look: usage, what the command does, its arguments, options by group, examples. Descriptions
// stand in a column and are wrapped at 100 characters.
class HelpFormatter : public CLI::Formatter {
 public:
  std::string make_usage(const CLI::App* app, std::string name) const override;
  std::string make_group(std::string group, bool is_positional,
                         std::vector<const CLI::Option*> options) const override;
  std::string make_positionals(const CLI::App* app) const override;
  std::string make_option(const CLI::Option* option, bool is_positional) const override;
  std::string make_subcommand(const CLI::App* sub) const override;
  std::string make_footer(const CLI::App* app) const override;
};

}  // namespace lmdeploy::cli
