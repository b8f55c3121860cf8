#pragma once
#include <CLI/App.hpp>
#include <string>
#include <vector>

namespace lmdeploy::cli {

// The words after the program's name in the one spelling that the option tables know:
//   --a_b            -> --a-b                    (names only, never values)
//   --flag True      -> --flag=true              (also False, 1, 0, yes, no, on, off)
//   -temp X          -> --temperature X
//   --model X        -> X                        where MODEL is positional
//   --hf-overrides.rope_scaling.factor 4  -> --hf-overrides {"rope_scaling":{"factor":4}}
// Throws UsageError: an unknown command or option (with the nearest known one), an option without its value.
std::vector<std::string> normalize_arguments(const CLI::App& root, const std::vector<std::string>& words);

}  // namespace lmdeploy::cli
