// lmdeploy check_env: the machine, the program and its libraries.
#include <fmt/core.h>

#include <fstream>
#include <memory>

#include "base/error.h"
#include "cli/command.h"
#include "cli/system_report.h"

namespace lmdeploy::cli {
namespace {

void print(const nlohmann::ordered_json& report, int indent) {
  for (const auto& [key, value] : report.items()) {
    if (value.is_object()) {
      fmt::print("{:{}}{}:\n", "", indent, key);
      print(value, indent + 2);
    } else {
      fmt::print("{:{}}{}: {}\n", "", indent, key,
                 value.is_string() ? value.get<std::string>() : value.dump());
    }
  }
}

int check_env(const std::string& dump_file) {
  const nlohmann::ordered_json report = system_report();
  print(report, 0);
  if (dump_file.empty()) return 0;
  std::ofstream out(dump_file);
  out << report.dump(2) << '\n';
  if (!out.flush())
    throw Error(fmt::format("cannot write {}", dump_file),
                "Choose a file in a folder that you may write to.");
  return 0;
}

}  // namespace

Action setup_check_env(CLI::App& app) {
  auto dump_file = std::make_shared<std::string>();
  app.add_option("--dump-file", *dump_file, "Also write the report to this JSON file")->option_text("FILE");
  return [dump_file] { return check_env(*dump_file); };
}

}  // namespace lmdeploy::cli
