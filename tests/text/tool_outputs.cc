#include "text/tool_outputs.h"

#include <stdexcept>

namespace lmdeploy::testing {
namespace {

// Arguments, also such as no object or no JSON is.
constexpr std::string_view kArguments[] = {
    R"({"a": 1, "b": -2.5e3})",
    "{}",
    R"({"text":"</tool_call> \"[TOOL_CALLS]\" {\u00e9}","list":[1,[2,{"c":null}]]})",
    "{\n  \"city\": \"Zürich 🦊\"\n}",
    R"("{\"a\": 1}")",
    "null",
    R"({"a": 1,})",
    R"({"a": tru)"};

constexpr std::string_view kNames[] = {"add", "unknown_tool"};

std::string object(std::string_view key, std::string_view name, std::string_view arguments) {
  return std::string(R"({"name": ")")
             .append(name)
             .append("\", \"")
             .append(key)
             .append("\": ")
             .append(arguments) +
         "}";
}

void add_variants(std::string_view format, const std::string& call, const std::string& separator,
                  std::vector<ToolOutput>& outputs) {
  outputs.push_back({format, call});
  outputs.push_back({format, "I will look.\n\n" + call + "\nLet us see."});
  outputs.push_back({format, call + separator + call});
  outputs.push_back({format, call.substr(0, call.size() * 2 / 3)});  // cut short
}

}  // namespace

void ParsedOutput::add(const ToolCallParser::Pieces& pieces) {
  content += pieces.content;
  for (const ToolCallDelta& delta : pieces.calls) {
    if (!delta.name.empty()) calls.emplace_back(delta.name, "");
    if (delta.call_idx + 1 != std::ssize(calls))
      throw std::logic_error("a delta of a call that has not begun");
    calls.back().second += delta.arguments;
  }
}

void PrintTo(const ParsedOutput& output, std::ostream* out) {
  *out << "content [" << output.content << "]";
  for (const auto& [name, arguments] : output.calls) *out << " " << name << "(" << arguments << ")";
  *out << (output.all_whole ? "" : " and not all of it");
}

std::vector<ToolOutput> tool_outputs() {
  std::vector<ToolOutput> outputs;
  for (const std::string_view name : kNames)
    for (const std::string_view arguments : kArguments) {
      const std::string plain = object("arguments", name, arguments);
      const std::string internlm = "<|action_start|><|plugin|>\n" + object("parameters", name, arguments);
      add_variants("internlm", internlm + "<|action_end|>", "\n", outputs);
      add_variants("llama3_json", object("parameters", name, arguments), "; ", outputs);
      add_variants("hermes", "<tool_call>\n" + plain + "\n</tool_call>", "\n", outputs);
      add_variants("mistral", "[TOOL_CALLS] [" + plain + "]", "", outputs);
      add_variants("mistral", "[TOOL_CALLS]" + std::string(name) + "[ARGS]" + std::string(arguments), "",
                   outputs);
    }
  return outputs;
}

}  // namespace lmdeploy::testing
