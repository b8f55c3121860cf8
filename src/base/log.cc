#include "base/log.h"

#include <spdlog/sinks/stdout_color_sinks.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <utility>

#include "base/error.h"

namespace lmdeploy {
namespace {

spdlog::level::level_enum parse_level(const std::string& name) {
  std::string upper = name;
  std::transform(upper.begin(), upper.end(), upper.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  static constexpr std::array<std::pair<const char*, spdlog::level::level_enum>, 8> kLevels{{
      {"CRITICAL", spdlog::level::critical},
      {"FATAL", spdlog::level::critical},
      {"ERROR", spdlog::level::err},
      {"WARNING", spdlog::level::warn},
      {"WARN", spdlog::level::warn},
      {"INFO", spdlog::level::info},
      {"DEBUG", spdlog::level::debug},
      {"NOTSET", spdlog::level::trace},
  }};
  for (const auto& [known, level] : kLevels)
    if (upper == known) return level;
  throw Error(fmt::format("unknown log level '{}'", name),
              "Choose one of CRITICAL, ERROR, WARNING, INFO, DEBUG, NOTSET.");
}

}  // namespace

void init_log(const std::string& level, bool json) {
  auto logger =
      std::make_shared<spdlog::logger>("lmdeploy", std::make_shared<spdlog::sinks::stderr_color_sink_mt>());
  logger->set_level(parse_level(level));
  logger->flush_on(spdlog::level::info);
  if (json)
    logger->set_pattern(R"({"time":"%Y-%m-%dT%H:%M:%S.%e%z","level":"%l","message":"%v"})");
  else
    logger->set_pattern("%H:%M:%S.%e %^%L%$ %v");
  spdlog::set_default_logger(std::move(logger));
}

}  // namespace lmdeploy
