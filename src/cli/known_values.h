#pragma once
#include <CLI/App.hpp>

namespace lmdeploy::cli {

// Throws UsageError where an option of `command` has a value that nobody knows (with the nearest known one),
// or one that LMDeploy knows and this program has not built; all of the latter are named at once, with what
// is built.
void check_known_values(const CLI::App& command);

}  // namespace lmdeploy::cli
