#include "server/token_routes.h"

#include "server/json.h"
#include "server/text_input.h"
#include "server/token_requests.h"

namespace lmdeploy {
namespace {

// A template may write the BOS itself.
std::vector<TokenId> without_bos(const Tokenizer& tokenizer, std::vector<TokenId> ids) {
  if (!ids.empty() && tokenizer.bos_id() == ids.front()) ids.erase(ids.begin());
  return ids;
}

std::vector<TokenId> encode_one(const RouteContext& context, const std::string& text,
                                const EncodeRequest& request) {
  if (!request.do_preprocess) return encode_text(context, text, "input", request.add_bos);
  ChatInput input;
  input.messages = Json::array({{{"role", "user"}, {"content", text}}});
  auto ids = encode_chat(context, input, "input");
  return request.add_bos ? ids : without_bos(context.model.tokenizer, std::move(ids));
}

std::vector<std::string> token_strs(const Tokenizer& tokenizer, const std::vector<TokenId>& ids) {
  std::vector<std::string> texts;
  texts.reserve(ids.size());
  for (const TokenId id : ids) texts.push_back(tokenizer.id_to_token(id));
  return texts;
}

void reply_json(Exchange& exchange, const Json& json) {
  exchange.reply(json_response(200, dump_json(json)));
}

}  // namespace

void encode(const RouteContext& context, std::shared_ptr<Exchange> exchange) {
  const EncodeRequest request = parse_encode_request(exchange->request().body, context.limits);
  Json input_ids = Json::array();
  Json lengths = Json::array();
  for (const std::string& text : request.input) {
    const auto ids = encode_one(context, text, request);
    lengths.push_back(ids.size());
    input_ids.push_back(ids);
  }
  if (request.is_list)
    reply_json(*exchange, {{"input_ids", std::move(input_ids)}, {"length", std::move(lengths)}});
  else
    reply_json(*exchange, {{"input_ids", input_ids[0]}, {"length", lengths[0]}});
}

void tokenize(const RouteContext& context, std::shared_ptr<Exchange> exchange) {
  const TokenizeRequest request = parse_tokenize_request(exchange->request().body, context.limits);
  if (!request.model.empty()) check_model(context.model, request.model);
  const auto* text = std::get_if<std::string>(&request.prompt);
  const auto ids = text != nullptr ? encode_text(context, *text, "prompt", request.add_special_tokens)
                                   : encode_chat(context, std::get<ChatInput>(request.prompt), "messages");
  Json json{{"count", ids.size()},
            {"max_model_len", context.model.engine.session_len()},
            {"tokens", ids},
            {"token_strs", nullptr}};
  if (request.return_token_strs) json["token_strs"] = token_strs(context.model.tokenizer, ids);
  reply_json(*exchange, json);
}

void detokenize(const RouteContext& context, std::shared_ptr<Exchange> exchange) {
  const DetokenizeRequest request = parse_detokenize_request(exchange->request().body, context.limits);
  if (!request.model.empty()) check_model(context.model, request.model);
  const std::string text = context.model.tokenizer.decode(
      request.tokens, {.skip_special_tokens = false, .spaces_between_special_tokens = true});
  reply_json(*exchange, {{"prompt", text}});
}

}  // namespace lmdeploy
