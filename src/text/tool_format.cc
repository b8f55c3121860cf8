#include "text/tool_format.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/error.h"

namespace lmdeploy {
namespace {

using Shape = ToolFormat::Shape;

struct Alias {
  std::string_view name;
  std::string_view format;
};
constexpr std::array<Alias, 6> kAliases{{{"intern-s1", "internlm"},
                                         {"llama3", "llama3_json"},
                                         {"qwen", "hermes"},
                                         {"qwen2d5", "hermes"},
                                         {"qwen3", "hermes"},
                                         {"qwen2_5", "hermes"}}};

}  // namespace

const std::vector<ToolFormat>& tool_formats() {
  static const std::vector<ToolFormat> formats{
      {"internlm", Shape::tagged, "<|action_start|>", "<|plugin|>", "<|action_end|>", "parameters"},
      {"llama3_json", Shape::bare, "<|python_tag|>", "", "", "parameters"},
      {"hermes", Shape::tagged, "<tool_call>", "", "</tool_call>", "arguments"},
      {"mistral", Shape::list, "[TOOL_CALLS]", "", "", "arguments"},
  };
  return formats;
}

const ToolFormat* find_tool_format(std::string_view name) {
  for (const Alias& alias : kAliases)
    if (alias.name == name) name = alias.format;
  const auto found = std::ranges::find(tool_formats(), name, &ToolFormat::name);
  return found == tool_formats().end() ? nullptr : &*found;
}

const ToolFormat& get_tool_format(std::string_view name) {
  const ToolFormat* format = find_tool_format(name);
  CHECK(format != nullptr, "{}", name);
  return *format;
}

CallText call_text(const ToolFormat& format, std::string_view function_name) {
  const std::string object = fmt::format(R"({{"name": "{}", "{}": )", function_name, format.arguments_key);
  switch (format.shape) {
    case Shape::bare:
      return {object, "}"};
    case Shape::list:
      return {fmt::format("{}[{}", format.begin, object), "}]"};
    case Shape::tagged:
      break;
  }
  const std::string_view before_end = format.header.empty() ? "\n" : "";
  return {fmt::format("{}{}\n{}", format.begin, format.header, object),
          fmt::format("}}{}{}", before_end, format.end)};
}

}  // namespace lmdeploy
