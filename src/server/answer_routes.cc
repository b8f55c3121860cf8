#include "server/answer_routes.h"

#include <fmt/format.h>

#include <algorithm>
#include <random>

#include "server/answer_task.h"
#include "server/api_error.h"

namespace lmdeploy {
namespace {

void check_model(const ServedModel& model, const std::string& name) {
  if (std::find(model.names.begin(), model.names.end(), name) == model.names.end())
    throw model_not_found(name, model.names);
}

// Before the tokenizer spends time on it: no text can fit whose bytes are more than the longest token's times
// the session length.
void check_prompt_bytes(const RouteContext& context, std::size_t num_bytes, const char* param) {
  if (num_bytes <= context.max_prompt_bytes) return;
  throw ApiError(
      400,
      fmt::format("the prompt has {} bytes, which is more than {} tokens, the most that prompt and answer "
                  "together can have here",
                  num_bytes, context.model.engine.session_len()),
      {.param = param, .code = "context_length_exceeded"});
}

std::vector<TokenId> encode_text(const RouteContext& context, const std::string& text, const char* param) {
  check_prompt_bytes(context, text.size(), param);
  return context.model.tokenizer.encode(text, true);
}

std::vector<TokenId> encode_chat(const RouteContext& context, const ChatInput& input) {
  if (context.model.chat_template == nullptr)
    throw ApiError(
        400, "this model's folder has no chat template: use /v1/completions, or give messages as a string",
        {.param = "messages"});
  const RenderedPrompt rendered = context.model.chat_template->render(input);
  check_prompt_bytes(context, rendered.text.size(), "messages");
  return context.model.tokenizer.encode(rendered);
}

std::uint64_t random_seed() {
  std::random_device random;
  return std::uint64_t{random()} << 32 | random();
}

void run(const RouteContext& context, std::shared_ptr<Exchange> exchange, AnswerKind kind,
         AnswerOptions options, const std::vector<std::vector<TokenId>>& prompts) {
  auto ticket = context.admission.try_admit();
  if (!ticket)
    throw ApiError(429, fmt::format("the server answers {} requests at once and is full, try again later",
                                    context.options.max_concurrent_requests));
  options.generation.sampling = options.sampling.resolve(context.model.sampling, random_seed());
  auto head = make_answer_head(kind, options.model, options.include_usage);
  const auto task =
      std::make_shared<AnswerTask>(context.model, std::move(exchange), std::move(head), options.stream);
  task->start(prompts, options, std::move(ticket));
}

}  // namespace

void chat_completions(const RouteContext& context, std::shared_ptr<Exchange> exchange) {
  ChatRequest request = parse_chat_request(exchange->request().body, context.model.tokenizer.vocab_size());
  check_model(context.model, request.options.model);
  const auto* text = std::get_if<std::string>(&request.prompt);
  auto prompt_ids = text != nullptr ? encode_text(context, *text, "messages")
                                    : encode_chat(context, std::get<ChatInput>(request.prompt));
  run(context, std::move(exchange), AnswerKind::chat, std::move(request.options), {std::move(prompt_ids)});
}

void completions(const RouteContext& context, std::shared_ptr<Exchange> exchange) {
  CompletionRequest request =
      parse_completion_request(exchange->request().body, context.model.tokenizer.vocab_size());
  check_model(context.model, request.options.model);
  std::vector<std::vector<TokenId>> prompts;
  for (const Prompt& prompt : request.prompts) {
    const auto* text = std::get_if<std::string>(&prompt);
    prompts.push_back(text != nullptr ? encode_text(context, *text, "prompt")
                                      : std::get<std::vector<TokenId>>(prompt));
  }
  run(context, std::move(exchange), AnswerKind::completion, std::move(request.options), prompts);
}

}  // namespace lmdeploy
