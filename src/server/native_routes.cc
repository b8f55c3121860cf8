#include "server/native_routes.h"

#include <fmt/format.h>

#include "server/answer_start.h"
#include "server/api_error.h"
#include "server/caller.h"
#include "server/native.h"
#include "server/native_format.h"
#include "server/text_input.h"

namespace lmdeploy {
namespace {

std::unique_ptr<Sessions::Turn> begin_turn(const RouteContext& context, const std::string& owner,
                                           std::int64_t session_id) {
  auto begun = context.sessions.begin({owner, session_id}, Sessions::Clock::now());
  if (auto* turn = std::get_if<std::unique_ptr<Sessions::Turn>>(&begun)) return std::move(*turn);
  if (std::get<Sessions::Refusal>(begun) == Sessions::Refusal::full)
    throw ApiError(429, fmt::format("the server remembers {} sessions and takes no more, try again later",
                                    context.options.max_sessions));
  throw ApiError(409,
                 fmt::format("session_id {} is occupied by a request that is still answered", session_id),
                 {.param = "session_id"});
}

// 0.5.3's answer where nothing was generated.
void reply_without_answer(Exchange& exchange, std::int64_t num_history_tokens) {
  const Json json{{"text", ""},
                  {"tokens", 0},
                  {"input_tokens", 0},
                  {"history_tokens", num_history_tokens},
                  {"finish_reason", nullptr}};
  exchange.reply(json_response(200, json.dump()));
}

ChatInput chat_of(const InteractiveRequest& request, const Sessions::Turn* turn) {
  ChatInput input;
  if (turn != nullptr) input.messages = turn->messages();
  for (const auto& message : request.messages) input.messages.push_back(message);
  return input;
}

}  // namespace

void generate_native(const RouteContext& context, std::shared_ptr<Exchange> exchange) {
  GenerateRequest request = parse_generate_request(exchange->request().body, context.limits);
  if (!request.options.model.empty()) check_model(context.model, request.options.model);
  const auto* text = std::get_if<std::string>(&request.prompt);
  auto prompt_ids = text != nullptr ? encode_text(context, *text, "prompt")
                                    : std::get<std::vector<TokenId>>(std::move(request.prompt));
  auto format = std::make_unique<GenerateFormat>(std::ssize(prompt_ids));
  start_answer(context, std::move(exchange), std::move(format), std::move(request.options),
               {std::move(prompt_ids)});
}

void chat_interactive(const RouteContext& context, std::shared_ptr<Exchange> exchange) {
  InteractiveRequest request = parse_interactive_request(exchange->request().body, context.limits);
  const std::string owner = caller_of(exchange->request(), context.options.api_keys).owner;
  const auto session_id = request.options.session_id;
  if (request.cancel) {
    context.running.end({.owner = owner, .session_id = session_id});
    reply_without_answer(*exchange, 0);
    return;
  }
  std::unique_ptr<Sessions::Turn> turn;
  if (session_id) turn = begin_turn(context, owner, *session_id);
  if (request.messages.empty()) {
    reply_without_answer(*exchange, turn->num_history_tokens());
    turn->end();
    return;
  }
  const ChatInput input = chat_of(request, turn.get());
  auto prompt_ids = encode_chat(context, input, "prompt");
  auto format = std::make_unique<InteractiveFormat>(
      InteractiveFormat::Conversation{.turn = std::move(turn),
                                      .messages = input.messages,
                                      .goes_on = request.interactive_mode,
                                      .num_prompt_tokens = std::ssize(prompt_ids)});
  start_answer(context, std::move(exchange), std::move(format), std::move(request.options),
               {std::move(prompt_ids)});
}

void abort_request(const RouteContext& context, std::shared_ptr<Exchange> exchange) {
  const AbortRequest request = parse_abort_request(exchange->request().body);
  const int num_ended =
      context.running.end({.owner = caller_of(exchange->request(), context.options.api_keys).owner,
                           .request_id = request.request_id,
                           .session_id = request.session_id,
                           .all = request.abort_all});
  exchange->reply(json_response(200, Json{{"success", true}, {"num_aborted", num_ended}}.dump()));
}

}  // namespace lmdeploy
