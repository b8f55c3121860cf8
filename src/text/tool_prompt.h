#pragma once
#include "text/chat_template.h"
#include "text/dialect.h"

namespace lmdeploy {

// Renders a conversation with tools, calls and their results as the dialect says. Throws Error as render()
// does, and where the dialect has no way to say them.
RenderedPrompt render_chat(const ChatTemplate& chat_template, const Dialect& dialect, const ChatInput& input);

// Whether a conversation says anything of tools: a list of them, calls, or results.
bool speaks_of_tools(const ChatInput& input);

}  // namespace lmdeploy
