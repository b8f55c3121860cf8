#include "server/text_input.h"

#include <fmt/format.h>

#include <algorithm>

#include "server/api_error.h"
#include "text/tool_prompt.h"

namespace lmdeploy {

void check_prompt_bytes(const RouteContext& context, std::size_t num_bytes, const char* param) {
  if (num_bytes <= context.max_prompt_bytes) return;
  throw ApiError(
      400,
      fmt::format("the prompt has {} bytes, which is more than {} tokens, the most that prompt and answer "
                  "together can have here",
                  num_bytes, context.model.engine.session_len()),
      {.param = param, .code = "context_length_exceeded"});
}

void check_model(const ServedModel& model, const std::string& name) {
  if (std::find(model.names.begin(), model.names.end(), name) == model.names.end())
    throw model_not_found(name, model.names);
}

std::vector<TokenId> encode_text(const RouteContext& context, const std::string& text, const char* param,
                                 bool add_special_tokens) {
  check_prompt_bytes(context, text.size(), param);
  return context.model.tokenizer.encode(text, add_special_tokens);
}

RenderedPrompt render_chat(const RouteContext& context, const ChatInput& input, const char* param) {
  if (context.model.chat_template == nullptr)
    throw ApiError(
        400, "this model's folder has no chat template: use /v1/completions, or give messages as a string",
        {.param = param});
  RenderedPrompt rendered = render_chat(*context.model.chat_template, context.model.dialect, input);
  check_prompt_bytes(context, rendered.text.size(), param);
  return rendered;
}

std::vector<TokenId> encode_chat(const RouteContext& context, const ChatInput& input, const char* param) {
  return context.model.tokenizer.encode(render_chat(context, input, param));
}

}  // namespace lmdeploy
