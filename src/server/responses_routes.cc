#include "server/responses_routes.h"

#include <fmt/format.h>

#include "server/answer_start.h"
#include "server/api_error.h"
#include "server/caller.h"
#include "server/chat_prompt.h"
#include "server/json.h"
#include "server/request_id.h"
#include "server/responses.h"
#include "server/responses_format.h"
#include "server/text_input.h"

namespace lmdeploy {
namespace {

constexpr int kIdDigits = 48;
constexpr std::string_view kPath = "/v1/responses/";
constexpr std::string_view kCancel = "/cancel";

// Another's response is as unknown as one that never was.
ApiError not_found(const std::string& id, std::string param) {
  return {404,
          fmt::format("no response with the id {} is kept here: it may be another's, deleted, not stored, or "
                      "dropped for newer ones",
                      describe(id)),
          {.param = std::move(param), .code = "response_not_found"}};
}

std::string owner_of(const RouteContext& context, const Exchange& exchange) {
  return caller_of(exchange.request(), context.options.api_keys).owner;
}

ResponseStore::Response find(const RouteContext& context, const std::string& owner, const std::string& id,
                             const char* param) {
  auto response = context.responses.find(owner, id);
  if (!response) throw not_found(id, param);
  return std::move(*response);
}

// The conversation that goes on.
Json messages_before(const RouteContext& context, const std::string& owner, const ResponsesRequest& request) {
  if (!request.previous_response_id) return Json::array();
  const auto response = find(context, owner, *request.previous_response_id, "previous_response_id");
  if (response.messages.empty())
    throw ApiError(400,
                   fmt::format("previous_response_id: expected a response that has ended, found {}, which {}",
                               *request.previous_response_id,
                               response.is_finished ? "has failed" : "is still being made"),
                   {.param = "previous_response_id"});
  return Json::parse(response.messages);
}

template <typename T>
Json value_or_null(const std::optional<T>& value) {
  return value ? Json(*value) : Json(nullptr);
}

Json echo_of(const RouteContext& context, const ResponsesRequest& request) {
  const SamplingParams sampling = request.options.sampling.resolve(context.model.sampling, 0);
  const GenerationParams& generation = request.options.generation;
  Json echo = request.echo;
  echo["instructions"] = value_or_null(request.instructions);
  echo["previous_response_id"] = value_or_null(request.previous_response_id);
  echo["store"] = request.store;
  echo["temperature"] = sampling.temperature;
  echo["top_p"] = sampling.top_p;
  echo["top_logprobs"] = generation.num_top_logprobs;
  echo["max_output_tokens"] = generation.max_new_tokens > 0 ? Json(generation.max_new_tokens) : Json(nullptr);
  return echo;
}

// Instructions are those of this request alone: they are not part of what is kept.
ChatInput chat_of(const ResponsesRequest& request, const Json& messages) {
  ChatInput chat = request.chat;
  chat.messages = Json::array();
  if (request.instructions) chat.messages.push_back({{"role", "system"}, {"content", *request.instructions}});
  for (const Json& message : messages) chat.messages.push_back(message);
  return chat;
}

ResponsesFormat::OnEnd keep_in(std::shared_ptr<ResponseStore::Place> place, Json messages) {
  if (place == nullptr) return [](const Json&, const Json&) {};
  return [place, messages = std::move(messages)](const Json& response, const Json& message) mutable {
    messages.push_back(message);
    place->commit(dump_json(response), message.is_null() ? std::string{} : dump_json(messages));
  };
}

// What the path has where the route's has "*".
std::string id_of(const Exchange& exchange) {
  std::string id = exchange.request().path.substr(kPath.size());
  if (id.ends_with(kCancel)) id.resize(id.size() - kCancel.size());
  return id;
}

void refuse_query(const Exchange& exchange) {
  if (exchange.request().query.empty()) return;
  throw ApiError(400, fmt::format("{}: expected no parameters in the address, found {}",
                                  exchange.request().path, describe(exchange.request().query)));
}

}  // namespace

void create_response(const RouteContext& context, std::shared_ptr<Exchange> exchange) {
  ResponsesRequest request = parse_responses_request(exchange->request().body, context.limits);
  check_model(context.model, request.options.model);
  const std::string owner = owner_of(context, *exchange);
  Json messages = messages_before(context, owner, request);
  for (const Json& message : request.chat.messages) messages.push_back(message);
  auto prompt_ids =
      prepare_chat(context, chat_of(request, messages), request.tools, "input", request.options);
  const std::string id = "resp_" + random_id(kIdDigits);
  Json response = new_response(id, request.options.model, echo_of(context, request));
  std::shared_ptr<ResponseStore::Place> place;
  if (request.store) place = context.responses.begin(owner, id, dump_json(response));
  auto format =
      std::make_unique<ResponsesFormat>(std::move(response), keep_in(std::move(place), std::move(messages)));
  request.options.answer_id = id;
  start_answer(context, std::move(exchange), std::move(format), std::move(request.options),
               {std::move(prompt_ids)});
}

void get_response(const RouteContext& context, std::shared_ptr<Exchange> exchange) {
  refuse_query(*exchange);
  auto response = find(context, owner_of(context, *exchange), id_of(*exchange), "");
  exchange->reply(json_response(200, std::move(response.object)));
}

void delete_response(const RouteContext& context, std::shared_ptr<Exchange> exchange) {
  refuse_query(*exchange);
  const std::string id = id_of(*exchange);
  if (!context.responses.erase(owner_of(context, *exchange), id)) throw not_found(id, "");
  exchange->reply(json_response(200, Json{{"id", id}, {"object", "response"}, {"deleted", true}}.dump()));
}

void cancel_response(const RouteContext& context, std::shared_ptr<Exchange> exchange) {
  const std::string id = id_of(*exchange);
  const std::string owner = owner_of(context, *exchange);
  const auto response = find(context, owner, id, "");
  if (context.running.end({.owner = owner, .answer_id = id}) == 0)
    throw ApiError(400, fmt::format("expected a response that is still being made, {} has ended", id));
  Json object = Json::parse(response.object);
  object["status"] = "cancelled";
  exchange->reply(json_response(200, dump_json(object)));
}

}  // namespace lmdeploy
