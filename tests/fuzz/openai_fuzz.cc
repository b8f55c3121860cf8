// A request's JSON: whatever the bytes, a typed message or an ApiError that can be sent.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "server/api_error.h"
#include "server/openai.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view body(reinterpret_cast<const char*>(data), size);
  try {
    lmdeploy::parse_chat_request(body, {.vocab_size = 1000});
  } catch (const lmdeploy::ApiError& e) {
    e.response();
  }
  try {
    lmdeploy::parse_completion_request(body, {.vocab_size = 1000});
  } catch (const lmdeploy::ApiError& e) {
    e.response();
  }
  return 0;
}
