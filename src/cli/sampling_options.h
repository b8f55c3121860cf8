#pragma once
#include <CLI/App.hpp>
#include <cstdint>
#include <optional>

namespace lmdeploy::cli {

// Sampling as the command line asks for it; what it leaves out comes from the model or the server.
struct SamplingOptions {
  std::optional<double> temperature, top_p, min_p, repetition_penalty;
  std::optional<std::int32_t> top_k;
  std::optional<std::uint64_t> seed;
  std::int32_t max_new_tokens = 0;  // 0: until the session length is reached
};
// `group` is the heading in the help; it says where the defaults come from.
void add_sampling_options(CLI::App& app, SamplingOptions& options, const char* group);

}  // namespace lmdeploy::cli
