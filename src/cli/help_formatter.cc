#include "cli/help_formatter.h"

#include <fmt/format.h>

#include <sstream>

namespace lmdeploy::cli {
namespace {

constexpr std::size_t kColumn = 34;  // where descriptions begin
constexpr std::size_t kWidth = 100;

// "  left      right, wrapped"; a long left part gets a line of its own.
std::string two_columns(const std::string& left, const std::string& right) {
  std::string out = "  " + left;
  std::size_t width = out.size();
  if (width + 2 > kColumn) {
    out += '\n';
    width = 0;
  }
  out.append(kColumn - width, ' ');
  width = kColumn;
  std::istringstream words(right);
  for (std::string word; words >> word; width += word.size() + 1) {
    if (width > kColumn && width + word.size() > kWidth) {
      out += '\n' + std::string(kColumn, ' ');
      width = kColumn;
    } else if (width > kColumn) {
      out += ' ';
    }
    out += word;
  }
  return out + '\n';
}

std::string indented(const std::string& text) {
  std::istringstream lines(text);
  std::string out;
  bool first = true;
  for (std::string line; std::getline(lines, line); first = false) out += (first ? "" : "  ") + line + '\n';
  return out;
}

}  // namespace

std::string command_path(const CLI::App& app) {
  return app.get_parent() == nullptr ? app.get_name()
                                     : command_path(*app.get_parent()) + " " + app.get_name();
}

std::string HelpFormatter::make_usage(const CLI::App* app, std::string name) const {
  std::string usage = "\nUsage: " + name;
  for (const CLI::Option* option : app->get_options())
    if (option->get_positional()) usage += " " + option->get_name(true, false);
  if (!app->get_subcommands([](const CLI::App*) { return true; }).empty()) usage += " COMMAND";
  return usage + " [OPTIONS]\n\n";
}

std::string HelpFormatter::make_group(std::string group, bool,
                                      std::vector<const CLI::Option*> options) const {
  std::string out = group + ":\n";
  for (const CLI::Option* option : options) out += make_option(option, false);
  return out;
}

std::string HelpFormatter::make_positionals(const CLI::App* app) const {
  std::string out;
  for (const CLI::Option* option : app->get_options())
    if (option->get_positional()) out += make_option(option, true);
  return out.empty() ? out : out + "\n";
}

std::string HelpFormatter::make_option(const CLI::Option* option, bool is_positional) const {
  if (is_positional) return two_columns(option->get_name(true, false), option->get_description());
  std::string left;
  for (const std::string& name : option->get_snames()) left += (left.empty() ? "-" : ", -") + name;
  for (const std::string& name : option->get_lnames()) left += (left.empty() ? "--" : ", --") + name;
  if (!option->get_option_text().empty()) left += " " + option->get_option_text();
  return two_columns(left, option->get_description());
}

std::string HelpFormatter::make_subcommand(const CLI::App* sub) const {
  return two_columns(sub->get_name(), sub->get_description());
}

std::string HelpFormatter::make_footer(const CLI::App* app) const {
  return app->get_footer().empty() ? std::string{} : indented(app->get_footer());
}

}  // namespace lmdeploy::cli
