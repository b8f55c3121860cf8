#pragma once
#include "server/tool_use.h"
#include "text/grammar.h"
#include "text/tool_format.h"

namespace lmdeploy {

// The form of an answer that may call these tools: text, and calls whose arguments fit their schemas. Where a
// call is asked for the answer begins with one.
StructuralTags tool_tags(const ToolFormat& format, const Tokenizer& tokenizer, const ToolUse& use);

}  // namespace lmdeploy
