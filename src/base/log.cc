#include "base/log.h"

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_color_sinks.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <ctime>
#include <memory>
#include <string_view>
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

// %* in the JSON pattern: the message with JSON's escapes. Bytes from 0x80 up pass: messages are UTF-8.
class JsonMessage final : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& message, const std::tm&, spdlog::memory_buf_t& out) override {
    for (const char c : message.payload) {
      switch (c) {
        case '"':
        case '\\':
          out.push_back('\\');
          out.push_back(c);
          break;
        case '\n':
          append(out, "\\n");
          break;
        case '\t':
          append(out, "\\t");
          break;
        default:
          if (static_cast<unsigned char>(c) < 0x20)
            append(out, fmt::format("\\u{:04x}", static_cast<unsigned char>(c)));
          else
            out.push_back(c);
      }
    }
  }
  std::unique_ptr<custom_flag_formatter> clone() const override { return std::make_unique<JsonMessage>(); }

 private:
  static void append(spdlog::memory_buf_t& out, std::string_view text) {
    out.append(text.data(), text.data() + text.size());
  }
};

std::unique_ptr<spdlog::formatter> json_formatter() {
  auto formatter = std::make_unique<spdlog::pattern_formatter>();
  formatter->add_flag<JsonMessage>('*').set_pattern(
      R"({"time":"%Y-%m-%dT%H:%M:%S.%e%z","level":"%l","message":"%*"})");
  return formatter;
}

}  // namespace

void init_log(const std::string& level, bool json) {
  auto logger =
      std::make_shared<spdlog::logger>("lmdeploy", std::make_shared<spdlog::sinks::stderr_color_sink_mt>());
  logger->set_level(parse_level(level));
  logger->flush_on(spdlog::level::info);
  if (json)
    logger->set_formatter(json_formatter());
  else
    logger->set_pattern("%H:%M:%S.%e %^%L%$ %v");
  spdlog::set_default_logger(std::move(logger));
}

}  // namespace lmdeploy
