#include "server/answer_routes.h"

#include <fmt/format.h>

#include "server/answer_start.h"
#include "server/api_error.h"
#include "server/chat_prompt.h"
#include "server/json.h"
#include "server/text_input.h"
#include "text/infill.h"

namespace lmdeploy {
namespace {

void run(const RouteContext& context, std::shared_ptr<Exchange> exchange, AnswerKind kind,
         AnswerOptions options, std::vector<std::vector<TokenId>> prompts) {
  auto format =
      std::make_unique<OpenAiFormat>(make_answer_head(kind, options.model, options.include_usage),
                                     static_cast<std::int32_t>(prompts.size()) * options.num_choices);
  start_answer(context, std::move(exchange), std::move(format), std::move(options), std::move(prompts));
}

// Numbers of which a prompt has so many are cheap to ask for and dear to send.
void check_num_echoed(const RouteContext& context, const AnswerOptions& options,
                      const std::vector<std::vector<TokenId>>& prompts) {
  if (!options.generation.prompt_logprobs) return;
  std::int64_t num_tokens = 0;
  for (const auto& prompt_ids : prompts) num_tokens += std::ssize(prompt_ids);
  const std::int64_t num_logprobs =
      num_tokens * options.num_candidates * (1 + options.generation.num_top_logprobs);
  if (num_logprobs > context.limits.max_echoed_logprobs)
    throw ApiError(
        400,
        fmt::format("echo: expected at most {} log probabilities of prompts, found {}: {} tokens, {} "
                    "answers to each prompt, {} log probabilities of each token",
                    context.limits.max_echoed_logprobs, num_logprobs, num_tokens, options.num_candidates,
                    1 + options.generation.num_top_logprobs),
        {.param = "echo"});
}

void add_suffix(const RouteContext& context, const std::string& suffix,
                std::vector<std::vector<TokenId>>& prompts) {
  check_prompt_bytes(context, suffix.size(), "suffix");
  for (auto& prompt_ids : prompts) {
    auto ids = infill_prompt(context.model.tokenizer, prompt_ids, suffix);
    if (!ids)
      throw ApiError(400,
                     fmt::format("suffix: expected nothing of this model, which has no tokens for filling a "
                                 "gap, found {}",
                                 describe(suffix)),
                     {.param = "suffix"});
    prompt_ids = std::move(*ids);
  }
}

// A prompt that came as a text is echoed as it came.
void add_echo(const RouteContext& context, CompletionRequest& request,
              const std::vector<std::vector<TokenId>>& prompts) {
  check_num_echoed(context, request.options, prompts);
  const GenerationParams& generation = request.options.generation;
  const Tokenizer::DecodeOptions decode{generation.skip_special_tokens,
                                        generation.spaces_between_special_tokens};
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    const auto* text = std::get_if<std::string>(&request.prompts[i]);
    request.options.echo_texts.push_back(
        text != nullptr ? *text : context.model.tokenizer.decode(prompts[i], decode));
  }
}

}  // namespace

void chat_completions(const RouteContext& context, std::shared_ptr<Exchange> exchange) {
  ChatRequest request = parse_chat_request(exchange->request().body, context.limits);
  check_model(context.model, request.options.model);
  const auto* text = std::get_if<std::string>(&request.prompt);
  auto prompt_ids = text != nullptr ? encode_text(context, *text, "messages")
                                    : prepare_chat(context, std::get<ChatInput>(request.prompt),
                                                   request.tools, "messages", request.options);
  run(context, std::move(exchange), AnswerKind::chat, std::move(request.options), {std::move(prompt_ids)});
}

void completions(const RouteContext& context, std::shared_ptr<Exchange> exchange) {
  CompletionRequest request = parse_completion_request(exchange->request().body, context.limits);
  check_model(context.model, request.options.model);
  std::vector<std::vector<TokenId>> prompts;
  for (const Prompt& prompt : request.prompts) {
    const auto* text = std::get_if<std::string>(&prompt);
    prompts.push_back(text != nullptr ? encode_text(context, *text, "prompt")
                                      : std::get<std::vector<TokenId>>(prompt));
  }
  if (!request.suffix.empty()) add_suffix(context, request.suffix, prompts);
  if (request.echo) add_echo(context, request, prompts);
  run(context, std::move(exchange), AnswerKind::completion, std::move(request.options), prompts);
}

}  // namespace lmdeploy
