#include "server/anthropic_routes.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>

#include "server/answer_start.h"
#include "server/anthropic.h"
#include "server/anthropic_format.h"
#include "server/api_error.h"
#include "server/chat_prompt.h"
#include "server/json.h"
#include "server/request_id.h"
#include "server/text_input.h"

namespace lmdeploy {
namespace {

// Of the API, as the header anthropic-version names them. What they differ in is not ours: the newer one
// refuses temperature, top_p and top_k, which we take with both, and blocks that we refuse anyway.
constexpr std::array<std::string_view, 2> kVersions{"2023-06-01", "2026-10-21"};
constexpr int kIdDigits = 24;

void check_version(const HttpRequest& request) {
  const std::string* version = request.header("anthropic-version");
  if (version == nullptr || std::find(kVersions.begin(), kVersions.end(), *version) != kVersions.end())
    return;
  throw ApiError(400, fmt::format("anthropic-version: expected {}, found {}", fmt::join(kVersions, " or "),
                                  describe(*version)));
}

}  // namespace

void messages(const RouteContext& context, std::shared_ptr<Exchange> exchange) {
  check_version(exchange->request());
  MessagesRequest request = parse_messages_request(exchange->request().body, context.limits);
  const MessagesInput& input = request.input;
  check_model(context.model, input.model);
  std::vector<TokenId> prompt_ids =
      prepare_chat(context, input.chat, input.tools, "messages", request.options);
  auto format = std::make_unique<AnthropicFormat>(
      AnthropicFormat::Head{.id = "msg_" + random_id(kIdDigits),
                            .model = request.options.model,
                            .request_id = exchange->request().id,
                            .num_prompt_tokens = std::ssize(prompt_ids),
                            .max_tokens = request.options.generation.max_new_tokens});
  start_answer(context, std::move(exchange), std::move(format), std::move(request.options),
               {std::move(prompt_ids)});
}

void count_message_tokens(const RouteContext& context, std::shared_ptr<Exchange> exchange) {
  check_version(exchange->request());
  const MessagesInput input = parse_count_tokens_request(exchange->request().body, context.limits);
  check_model(context.model, input.model);
  AnswerOptions options;
  const auto prompt_ids = prepare_chat(context, input.chat, input.tools, "messages", options);
  exchange->reply(json_response(200, Json{{"input_tokens", prompt_ids.size()}}.dump()));
}

}  // namespace lmdeploy
