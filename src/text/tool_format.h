#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace lmdeploy {

// How a model writes a tool call: a JSON object with the function's name and its arguments, between markers.
struct ToolFormat {
  enum class Shape : std::uint8_t {
    tagged,  // begin, header, {"name", arguments_key}, end
    bare,    // the object itself at the answer's beginning, or behind `begin`; several with ; between them
    list     // begin, then [object, ...], or NAME{arguments}, NAME[ARGS]{arguments}
  };
  std::string_view name;  // --tool-call-parser
  Shape shape;
  std::string_view begin;
  std::string_view header;         // behind begin, white space between them or not; empty: none
  std::string_view end;            // empty: none
  std::string_view arguments_key;  // that the model writes; both of "arguments" and "parameters" are read
};

// internlm, llama3_json, hermes, mistral
const std::vector<ToolFormat>& tool_formats();

// Also by the names that LMDeploy and vLLM have for it. Null: there is none.
const ToolFormat* find_tool_format(std::string_view name);
const ToolFormat& get_tool_format(std::string_view name);

// A call as the model writes it up to its arguments, and behind them.
struct CallText {
  std::string before;  // `<tool_call>\n{"name": "add", "arguments": `
  std::string behind;  // `}\n</tool_call>`
};
CallText call_text(const ToolFormat& format, std::string_view function_name);

}  // namespace lmdeploy
