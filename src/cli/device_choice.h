#pragma once
#include <CLI/App.hpp>
#include <string>

#include "tensor/ctx.h"

namespace lmdeploy::cli {

// --device, read into `name` in lower case.
CLI::Option* add_device_option(CLI::App& app, std::string& name, const char* description);
CLI::Option* add_eager_option(CLI::App& app, bool& eager);

// --deterministic.
CLI::Option* add_deterministic_option(CLI::App& app, bool& deterministic);

// What --device means: cpu, cuda, or auto: a card where there is one that this build can use, otherwise the
// CPU, and the log tells why. Throws Error where cuda cannot be used.
Device find_device(const std::string& name);

// " on NVIDIA H200", or nothing on the CPU.
std::string where(Device device);

// Free memory of the card, bytes.
std::int64_t free_card_bytes();
// What CUDA's context takes of it, bytes; 0: not known.
std::int64_t card_context_bytes();

}  // namespace lmdeploy::cli
