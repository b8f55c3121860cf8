#include "server/chat_prompt.h"

#include <fmt/format.h>

#include "server/api_error.h"
#include "server/text_input.h"
#include "server/tool_grammar.h"
#include "text/tool_prompt.h"

namespace lmdeploy {
namespace {

void add(const SpecialMarkers& markers, std::vector<TokenId>& ids) {
  ids.insert(ids.end(), markers.ids.begin(), markers.ids.end());
}

void check_tools(const Dialect& dialect, const ToolUse& tools) {
  if (dialect.tool_prompt == ToolPrompt::unknown)
    throw ApiError(
        400,
        "tools: this model's chat template never reads them, and its vocabulary has no <|plugin|>; "
        "start the server with --tool-call-parser NAME to describe them in a system message",
        {.param = "tools"});
  if (dialect.tool_format == nullptr && !dialect.calls_are_off)
    throw ApiError(
        400,
        "tools: this model's chat template writes calls in a form that no parser here knows; start "
        "the server with --tool-call-parser NAME, or none to get them as text",
        {.param = "tools"});
  if (dialect.tool_format == nullptr && tools.must_call())
    throw ApiError(400,
                   "tool_choice: expected \"auto\" or \"none\" where the server has --tool-call-parser none",
                   {.param = "tool_choice"});
}

ToolCallOptions call_options(const Dialect& dialect, const ToolUse& tools, bool hides_special_tokens) {
  ToolCallOptions options{
      .format = dialect.tool_format, .names = {}, .hidden = {}, .only_one = !tools.parallel};
  for (const ToolDefinition& tool : tools.tools) options.names.push_back(tool.name);
  if (hides_special_tokens) options.hidden = dialect.tool_markers.texts;
  return options;
}

// The form of an answer that may call: that of what it says otherwise has no place in it.
void set_form(const ServedModel& model, const ToolUse& tools, AnswerOptions& options) {
  if (options.form && !tools.must_call())
    throw ApiError(
        400,
        fmt::format("{}: expected nothing beside tools, unless tool_choice asks for a call or is \"none\"",
                    options.form->field),
        {.param = options.form->field});
  if (options.generation.ignore_eos)
    throw ApiError(400, "ignore_eos: expected false beside tools, found true", {.param = "ignore_eos"});
  options.form = AnswerForm{"tools", tool_tags(*model.dialect.tool_format, model.tokenizer, tools)};
}

}  // namespace

std::vector<TokenId> prepare_chat(const RouteContext& context, const ChatInput& input, const ToolUse& tools,
                                  const char* param, AnswerOptions& options) {
  const Dialect& dialect = context.model.dialect;
  if (tools.may_call()) check_tools(dialect, tools);
  const RenderedPrompt rendered = render_chat(context, input, param);
  GenerationParams& generation = options.generation;
  AnswerParsing parsing;
  if (dialect.reasoning != nullptr) {
    parsing.reasoning = reasoning_start(*dialect.reasoning, rendered.text);
    add(dialect.reasoning_markers, generation.shown_tokens);
  }
  if (tools.may_call() && dialect.tool_format != nullptr) {
    parsing.calls = call_options(dialect, tools, generation.skip_special_tokens);
    add(dialect.tool_markers, generation.shown_tokens);
    set_form(context.model, tools, options);
  }
  if (dialect.call_end_id && !generation.ignore_eos)
    generation.stop_token_ids.push_back(*dialect.call_end_id);
  if (parsing.reasoning || parsing.calls) options.parsing = std::move(parsing);
  return context.model.tokenizer.encode(rendered);
}

}  // namespace lmdeploy
