// A request's JSON: whatever the bytes, each route's parser makes a typed message or an ApiError that can be
// sent.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "server/anthropic.h"
#include "server/api_error.h"
#include "server/embeddings.h"
#include "server/native.h"
#include "server/openai.h"
#include "server/responses.h"
#include "server/token_requests.h"

namespace {

constexpr lmdeploy::RequestLimits kLimits{.vocab_size = 1000, .hidden_size = 64};

template <typename Parse>
void parse(const Parse& call) {
  try {
    call();
  } catch (const lmdeploy::ApiError& e) {
    e.response();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view body(reinterpret_cast<const char*>(data), size);
  parse([&] { lmdeploy::parse_chat_request(body, kLimits); });
  parse([&] { lmdeploy::parse_completion_request(body, kLimits); });
  parse([&] { lmdeploy::parse_responses_request(body, kLimits); });
  parse([&] { lmdeploy::parse_embeddings_request(body, kLimits); });
  parse([&] { lmdeploy::parse_messages_request(body, kLimits); });
  parse([&] { lmdeploy::parse_count_tokens_request(body, kLimits); });
  parse([&] { lmdeploy::parse_generate_request(body, kLimits); });
  parse([&] { lmdeploy::parse_interactive_request(body, kLimits); });
  parse([&] { lmdeploy::parse_abort_request(body); });
  parse([&] { lmdeploy::parse_encode_request(body, kLimits); });
  parse([&] { lmdeploy::parse_tokenize_request(body, kLimits); });
  parse([&] { lmdeploy::parse_detokenize_request(body, kLimits); });
  return 0;
}
