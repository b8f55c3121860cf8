#pragma once
// One log, written to stderr so that stdout stays the program's answer. spdlog's default logger is the sink.
#include <spdlog/spdlog.h>

#include <string>

namespace lmdeploy {

// Names of LMDeploy's --log-level (upper or lower case): CRITICAL, ERROR, WARNING (or WARN), INFO, DEBUG,
// NOTSET. Throws Error on any other name. json: one JSON object a line instead of text.
void init_log(const std::string& level, bool json = false);

namespace log = spdlog;  // log::info("{} blocks", n), log::warn, log::error, log::debug

}  // namespace lmdeploy
