#include "cli/arguments.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "cli/help_formatter.h"
#include "cli/nearest.h"
#include "cli/usage_error.h"

namespace lmdeploy::cli {
namespace {

constexpr std::string_view kOverrides = "--hf-overrides";

std::vector<std::string> command_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* sub : app.get_subcommands([](const CLI::App*) { return true; }))
    names.push_back(sub->get_name());
  return names;
}

std::vector<std::string> option_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options())
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  return names;
}

bool is_flag(const CLI::Option& option) {
  return option.get_items_expected_max() == 0;
}

std::optional<bool> parse_bool(std::string word) {
  std::transform(word.begin(), word.end(), word.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (word == "true" || word == "1" || word == "yes" || word == "on") return true;
  if (word == "false" || word == "0" || word == "no" || word == "off") return false;
  return std::nullopt;
}

// One option as it was written: --name or --name=value.
struct Written {
  std::string name;
  std::optional<std::string> value;
};

Written split_option(const std::string& word) {
  Written written;
  const std::size_t equals = word.find('=');
  written.name = word.substr(0, equals);
  if (equals != std::string::npos) written.value = word.substr(equals + 1);
  const std::size_t dot = std::min(written.name.find('.'), written.name.size());
  std::replace(written.name.begin(), written.name.begin() + static_cast<std::ptrdiff_t>(dot), '_', '-');
  if (written.name == "-temp") written.name = "--temperature";
  return written;
}

// a.b.c and a value, which is JSON or else plain text, as a nested object.
std::string dotted_override(std::string_view dotted, const std::string& value) {
  nlohmann::json nested = nlohmann::json::parse(value, nullptr, false);
  if (nested.is_discarded()) nested = value;
  while (!dotted.empty()) {
    const std::size_t dot = dotted.rfind('.');
    const std::string_view key = dot == std::string_view::npos ? dotted : dotted.substr(dot + 1);
    nested = nlohmann::json::object({{std::string(key), std::move(nested)}});
    dotted = dot == std::string_view::npos ? std::string_view{} : dotted.substr(0, dot);
  }
  return nested.dump();
}

class Normalizer {
 public:
  Normalizer(const CLI::App& root, const std::vector<std::string>& words) : app_(&root), words_(words) {}

  std::vector<std::string> run() {
    while (next_ < words_.size()) {
      const std::string& word = words_[next_++];
      if (word == "--") {
        out_.insert(out_.end(), words_.begin() + static_cast<std::ptrdiff_t>(next_) - 1, words_.end());
        break;
      }
      if (word.starts_with("--") || word == "-temp")
        option(split_option(word));
      else
        plain(word);
    }
    return std::move(out_);
  }

 private:
  void plain(const std::string& word) {
    const std::vector<std::string> commands = command_names(*app_);
    if (!commands.empty() && !word.starts_with("-")) {
      if (std::find(commands.begin(), commands.end(), word) == commands.end())
        throw unknown(fmt::format("'{}' is no command of {}", word, command_path(*app_)),
                      nearest(word, commands));
      app_ = app_->get_subcommand(word);
    }
    out_.push_back(word);
  }

  void option(const Written& written) {
    const std::size_t dot = written.name.find('.');
    const std::string base = written.name.substr(0, dot);
    const CLI::Option* known = app_->get_option_no_throw(base);
    if (known == nullptr && base == "--model" && app_->get_option_no_throw("MODEL") != nullptr) {
      out_.push_back(written.value ? *written.value : take_value(base));
    } else if (known == nullptr || (dot != std::string::npos && base != kOverrides)) {
      throw unknown(fmt::format("{} has no option {}", command_path(*app_), written.name),
                    nearest(written.name, option_names(*app_)));
    } else if (dot != std::string::npos) {
      const std::string value = written.value ? *written.value : take_value(written.name);
      out_.insert(out_.end(), {base, dotted_override(written.name.substr(dot + 1), value)});
    } else if (is_flag(*known)) {
      flag(written);
    } else if (known->get_items_expected_min() == 0 && !written.value && !value_follows()) {
      return;  // an empty list, which CLI11 would take for the word "true"
    } else {
      out_.push_back(written.name);
      if (written.value)
        out_.push_back(*written.value);
      else if (known->get_items_expected_min() > 0)
        out_.push_back(take_value(written.name));
    }
  }

  void flag(const Written& written) {
    std::optional<bool> value;
    if (written.value) {
      value = parse_bool(*written.value);
      if (!value)
        throw UsageError(fmt::format("{} is on or off, not '{}'", written.name, *written.value),
                         "Write True, False, 1 or 0, or the option alone for True.");
    } else if (next_ < words_.size()) {
      value = parse_bool(words_[next_]);
      if (value) ++next_;
    }
    out_.push_back(value ? fmt::format("{}={}", written.name, *value) : written.name);
  }

  bool value_follows() const { return next_ < words_.size() && !words_[next_].starts_with("--"); }

  // The word after an option that needs one.
  std::string take_value(const std::string& name) {
    if (!value_follows())
      throw UsageError(fmt::format("{} needs a value", name),
                       fmt::format("See: {} --help", command_path(*app_)));
    return words_[next_++];
  }

  UsageError unknown(const std::string& problem, const std::string& near) const {
    const std::string help = fmt::format("See: {} --help", command_path(*app_));
    return UsageError(problem, near.empty() ? help : fmt::format("Did you mean {}? {}", near, help));
  }

  const CLI::App* app_;
  const std::vector<std::string>& words_;
  std::size_t next_ = 0;
  std::vector<std::string> out_;
};

}  // namespace

std::vector<std::string> normalize_arguments(const CLI::App& root, const std::vector<std::string>& words) {
  return Normalizer(root, words).run();
}

}  // namespace lmdeploy::cli
