// The composition root: the command line becomes one action, and every Error ends here.
#include <csignal>
#include <cstdio>
#include <exception>
#include <sstream>
#include <string>
#include <vector>

#include "cli/bus_error.h"
#include "cli/command_line.h"
#include "cli/say.h"
#include "cli/usage_error.h"

namespace {

using namespace lmdeploy;

enum ExitCode { kSuccess = 0, kFailure = 1, kUsage = 2 };

void report(const std::string& problem, const std::string& remedy) {
  cli::say("lmdeploy: " + problem);
  std::istringstream lines(remedy);
  for (std::string line; std::getline(lines, line);) cli::say("  " + line);
}

int run(const std::vector<std::string>& words) {
  cli::CommandLine command_line;
  const cli::Invocation invocation = command_line.parse(words);
  if (!invocation.text) return invocation.action();
  std::fputs(invocation.text->c_str(), invocation.exit_code == 0 ? stdout : stderr);
  return invocation.exit_code;
}

}  // namespace

int main(int argc, char** argv) {
  // A peer that hangs up is the error of one connection, not the end of the process.
  std::signal(SIGPIPE, SIG_IGN);
  cli::report_bus_errors();
  try {
    return run({argv + 1, argv + argc});
  } catch (const cli::UsageError& error) {
    report(error.problem(), error.remedy());
    return kUsage;
  } catch (const Error& error) {
    report(error.problem(), error.remedy());
  } catch (const CheckFailure& failure) {
    report(fmt::format("a bug in lmdeploy: {}", failure.what()), "Please report it with this line.");
  } catch (const std::bad_alloc&) {
    report("out of memory",
           "Free memory, or choose a smaller model, --session-len or --cache-max-entry-count.");
  } catch (const std::exception& failure) {
    report(failure.what(), "");
  }
  return kFailure;
}
