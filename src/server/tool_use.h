#pragma once
// What a request says of tools, in whichever API's words.
#include <cstdint>
#include <string>
#include <vector>

#include "server/json.h"
#include "server/request_limits.h"

namespace lmdeploy {

struct ToolDefinition {
  std::string name;
  Json function;    // {"name", "description", "parameters"} as the client wrote it, for the template
  Json parameters;  // JSON schema of the arguments: an object
};

struct ToolUse {
  enum class Choice : std::uint8_t { none, automatic, required, named };

  std::vector<ToolDefinition> tools = {};
  Choice choice = Choice::automatic;
  std::string named = {};  // of Choice::named: one of `tools`
  bool parallel = true;    // an answer may have several calls

  bool may_call() const { return !tools.empty() && choice != Choice::none; }
  bool must_call() const { return choice == Choice::required || choice == Choice::named; }
};

// Checks {"name", "description", "parameters", "strict"} and takes it in. `path` is the object's own, for
// errors. Python's names of types (int, str, ...) count as JSON Schema's. Throws ApiError (400).
ToolDefinition parse_function(const Json& function, const std::string& path, const RequestLimits& limits);

// tools, tool_choice and parallel_tool_calls, as OpenAI's chat has them. Throws ApiError (400).
ToolUse parse_tool_use(JsonFields& fields, const RequestLimits& limits);

// The list `tools`, each read by the API's own `parse`, which gets its path for errors. None: empty. Throws
// ApiError (400).
using ParseTool = ToolDefinition(const Json& tool, const std::string& path, const RequestLimits& limits);
std::vector<ToolDefinition> parse_tool_list(JsonFields& fields, const RequestLimits& limits,
                                            ParseTool* parse);

// Throws ApiError (400): a name twice, a call that is wanted where there is nothing to call. For every API;
// the names of fields are OpenAI's.
void check_tool_use(const ToolUse& use);

// `tools` as a chat template reads them: [{"type": "function", "function": {...}}]; null where no tool may be
// called.
Json template_tools(const ToolUse& use);

}  // namespace lmdeploy
