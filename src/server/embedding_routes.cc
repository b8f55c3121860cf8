#include "server/embedding_routes.h"

#include "server/answer_start.h"
#include "server/embeddings.h"
#include "server/text_input.h"

namespace lmdeploy {

void embeddings(const RouteContext& context, std::shared_ptr<Exchange> exchange) {
  EmbeddingsRequest request = parse_embeddings_request(exchange->request().body, context.limits);
  check_model(context.model, request.model);
  if (!request.pooling) request.pooling = context.options.embedding_pooling;
  std::vector<std::vector<TokenId>> inputs;
  for (Prompt& input : request.inputs) {
    const auto* text = std::get_if<std::string>(&input);
    inputs.push_back(text != nullptr ? encode_text(context, *text, "input")
                                     : std::get<std::vector<TokenId>>(std::move(input)));
  }
  start_embeddings(context, std::move(exchange), std::move(request), std::move(inputs));
}

}  // namespace lmdeploy
