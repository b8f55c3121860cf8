#include "server/answer_start.h"

#include <fmt/format.h>

#include <functional>
#include <random>

#include "base/log.h"
#include "server/answer_task.h"
#include "server/api_error.h"
#include "server/caller.h"
#include "server/embedding_task.h"
#include "text/late_grammar.h"

namespace lmdeploy {
namespace {

std::uint64_t random_seed() {
  std::random_device random;
  return std::uint64_t{random()} << 32 | random();
}

std::chrono::steady_clock::time_point deadline_of(const ServerOptions& options) {
  if (options.request_timeout.count() == 0) return std::chrono::steady_clock::time_point::max();
  return std::chrono::steady_clock::now() + options.request_timeout;
}

// The first `max_len` characters.
std::string_view beginning(std::string_view text, std::int32_t max_len) {
  std::int32_t num_characters = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool begins_character = (static_cast<unsigned char>(text[i]) & 0xC0) != 0x80;
    if (begins_character && num_characters++ == max_len) return text.substr(0, i);
  }
  return text;
}

// As the engine gets it: what the template made of it is what the answer depends on.
void log_prompt(const RouteContext& context, const std::string& request_id,
                const std::vector<TokenId>& prompt_ids) {
  const std::int32_t max_len = context.options.max_log_len;
  if (max_len == 0 || !log::default_logger_raw()->should_log(log::level::info)) return;
  // A token has at least one byte of text as good as always: more of them than characters are not needed.
  const std::size_t num_ids = std::min(prompt_ids.size(), static_cast<std::size_t>(max_len));
  const std::string text =
      context.model.tokenizer.decode({prompt_ids.data(), num_ids}, {.skip_special_tokens = false});
  log::info("{} prompt of {} tokens: {}", request_id, prompt_ids.size(), beginning(text, max_len));
}

AnswerPermit take_permit(const RouteContext& context, RunningAnswers::Name name) {
  auto ticket = context.admission.try_admit();
  if (!ticket)
    throw ApiError(429, fmt::format("the server answers {} requests at once and is full, try again later",
                                    context.options.max_concurrent_requests));
  return {std::move(ticket), context.running, std::move(name)};
}

// Runs `start` on the exchange's strand.
void dispatch(const std::shared_ptr<Exchange>& exchange, std::function<void()> start) {
  exchange->dispatch([exchange, start = std::move(start)] {
    if (exchange->is_gone()) return;
    try {
      start();
    } catch (const ApiError& e) {
      exchange->reply(e.response_to(exchange->request()));
    }
  });
}

// What an answer is begun with, once it may be.
struct Start {
  const RouteContext& context;
  std::shared_ptr<Exchange> exchange;
  std::unique_ptr<AnswerFormat> format;
  AnswerOptions options;
  std::vector<std::vector<TokenId>> prompts;
  AnswerPermit permit;
};

void begin(const std::shared_ptr<Start>& start) {
  const auto task = std::make_shared<AnswerTask>(start->context.model, start->exchange,
                                                 std::move(start->format), start->options);
  dispatch(start->exchange, [start, task] { task->start(start->prompts, std::move(start->permit)); });
}

// On the compiler's thread.
void begin_in_form(const std::shared_ptr<Start>& start, GrammarCompiler::Compiled compiled) {
  if (const auto* error = std::get_if<Error>(&compiled)) {
    const std::string& field = start->options.form->field;
    const ApiError refusal(400, fmt::format("{}: {}", field, error->what()), {.param = field});
    start->exchange->reply(refusal.response_to(start->exchange->request()));
    return;
  }
  auto grammar = std::get<std::shared_ptr<const Grammar>>(std::move(compiled));
  const ServedModel& model = start->context.model;
  if (const auto& parsing = start->options.parsing; parsing && parsing->reasoning)
    grammar = after_reasoning(model.tokenizer, model.eos_ids, *parsing->reasoning, std::move(grammar));
  start->options.generation.grammar = std::move(grammar);
  begin(start);
}

}  // namespace

void start_answer(const RouteContext& context, std::shared_ptr<Exchange> exchange,
                  std::unique_ptr<AnswerFormat> format, AnswerOptions options,
                  std::vector<std::vector<TokenId>> prompts) {
  const HttpRequest& request = exchange->request();
  const Caller caller = caller_of(request, context.options.api_keys);
  AnswerPermit permit =
      take_permit(context, {caller.owner, request.id, options.session_id, options.answer_id});
  options.generation.sampling = options.sampling.resolve(context.model.sampling, random_seed());
  options.generation.cache_salt = caller.cache_salt;
  options.generation.deadline = deadline_of(context.options);
  if (const std::string* wanted = request.header("x-lmdeploy-timings"))
    options.include_timings = options.include_timings || (*wanted != "0" && *wanted != "false");
  for (const auto& prompt_ids : prompts) log_prompt(context, request.id, prompt_ids);
  const auto start =
      std::make_shared<Start>(Start{context, std::move(exchange), std::move(format), std::move(options),
                                    std::move(prompts), std::move(permit)});
  if (!start->options.form) return begin(start);
  context.grammars.compile(
      grammar_of(context.model.tokenizer, *start->options.form),
      [start](GrammarCompiler::Compiled compiled) { begin_in_form(start, std::move(compiled)); });
}

void start_embeddings(const RouteContext& context, std::shared_ptr<Exchange> exchange,
                      EmbeddingsRequest request, std::vector<std::vector<TokenId>> inputs) {
  const HttpRequest& head = exchange->request();
  const Caller caller = caller_of(head, context.options.api_keys);
  auto permit = std::make_shared<AnswerPermit>(take_permit(context, {caller.owner, head.id}));
  GenerationParams params;
  params.sampling.temperature = 0;
  params.pooling = *request.pooling;
  params.deadline = deadline_of(context.options);
  for (const auto& ids : inputs) log_prompt(context, head.id, ids);
  const auto task = std::make_shared<EmbeddingTask>(context.model, exchange, std::move(request),
                                                    std::move(params), std::move(inputs));
  dispatch(exchange, [task, permit] { task->start(std::move(*permit)); });
}

}  // namespace lmdeploy
