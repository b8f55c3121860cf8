#pragma once
#include <CLI/App.hpp>
#include <span>

namespace lmdeploy::cli {

// An option of LMDeploy's command line that this program reads without a variable of its own.
struct DeclaredOption {
  enum class Kind { flag, value, list };
  const char* name;
  Kind kind;
  const char* description;
};

// Options that change nothing here; the description says why that is right.
extern const std::span<const DeclaredOption> kAcceptedByEngine;
extern const std::span<const DeclaredOption> kAcceptedByServer;
extern const std::span<const DeclaredOption> kAcceptedByChat;
void add_accepted_options(CLI::App& app, std::span<const DeclaredOption> options);

// Options that would change the answer and are not built, or only for some values: known_values.h refuses
// the others by name.
extern const std::span<const DeclaredOption> kRestrictedByEngine;
extern const std::span<const DeclaredOption> kRestrictedByServer;
void add_restricted_options(CLI::App& app, std::span<const DeclaredOption> options);

}  // namespace lmdeploy::cli
